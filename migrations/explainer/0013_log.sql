-- The log of explanations that ended. Cursors are taken under an advisory lock that is held until the commit, so who has read up
-- to a cursor has missed nothing before it. What ended before this file is in the log in the order of its ends.
CREATE SEQUENCE explainer.explanation_cursor;
ALTER TABLE explainer.explanation ADD COLUMN cursor bigint;
UPDATE explainer.explanation e SET cursor = placed.cursor FROM (
    SELECT explanation_id, nextval('explainer.explanation_cursor') AS cursor FROM (
        SELECT explanation_id FROM explainer.explanation WHERE finish_time IS NOT NULL ORDER BY finish_time, explanation_id
    ) AS in_order
) AS placed WHERE e.explanation_id = placed.explanation_id;
CREATE UNIQUE INDEX explanation_by_cursor ON explainer.explanation (cursor) WHERE cursor IS NOT NULL;
