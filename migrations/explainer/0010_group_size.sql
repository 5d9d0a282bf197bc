-- How many explanations stand in a group, so that joining one counts nothing.
ALTER TABLE explainer.like_group ADD COLUMN size int NOT NULL DEFAULT 0;
UPDATE explainer.like_group g SET size = (
    SELECT count(*) FROM explainer.explanation e WHERE e.group_id = g.group_id);
