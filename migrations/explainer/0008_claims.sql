-- Templates now say which claims to choose; those that asked for sentences get no more explanations. Their successors are added
-- at the next start.
UPDATE explainer.prompt SET weight = 0 WHERE author = '' AND version = 1 AND name IN ('plain', 'brief');
