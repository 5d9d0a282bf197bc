-- A finished explanation may be made anew: the older revision is kept, and is no longer the one of its subject.
ALTER TABLE explainer.explanation ADD COLUMN revision int NOT NULL DEFAULT 1;
ALTER TABLE explainer.explanation ADD COLUMN superseded boolean NOT NULL DEFAULT false;
DROP INDEX explainer.explanation_once;
CREATE UNIQUE INDEX explanation_once
    ON explainer.explanation (subject_kind, subject_id, subject_state)
    WHERE state IN ('running', 'done') AND NOT superseded;
