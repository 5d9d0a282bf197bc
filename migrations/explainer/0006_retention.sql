-- Frames other than the result go earlier than their explanation.
ALTER TABLE explainer.explanation ADD COLUMN frames_kept boolean NOT NULL DEFAULT true;
CREATE INDEX explanation_by_finish ON explainer.explanation (finish_time) WHERE finish_time IS NOT NULL;
