-- The last frame of an explanation goes on with `explanation.result`, which is stored once.
ALTER TABLE explainer.frame ADD COLUMN holds_result boolean NOT NULL DEFAULT false;
