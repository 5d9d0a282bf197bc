-- How often a finished explanation was looked at again for evidence that came later.
ALTER TABLE explainer.explanation ADD COLUMN looks int NOT NULL DEFAULT 0;
