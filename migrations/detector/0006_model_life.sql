ALTER TABLE detector.model
    ADD COLUMN trigger         text    NOT NULL DEFAULT 'warm-up',
    ADD COLUMN shadow          boolean NOT NULL DEFAULT false,
    ADD COLUMN activated_at    timestamptz,
    ADD COLUMN score_histogram bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN loud            double precision NOT NULL DEFAULT 'infinity',
    ADD COLUMN evaluation      jsonb;

UPDATE detector.model SET activated_at = created_at WHERE active;

COMMENT ON COLUMN detector.model.shadow IS 'Scores live samples beside the active one.';
COMMENT ON COLUMN detector.model.score_histogram IS
    'Strangeness of the training rows under this model, in the bins of the live figures.';
COMMENT ON COLUMN detector.model.loud IS 'Strangeness of one training row in a thousand.';

CREATE UNIQUE INDEX model_shadow ON detector.model (shadow) WHERE shadow;

-- One row per training that was asked for, by people, by the clock or by drift. Who asks derives
-- the id from the reason, so that any number of detectors ask once.
CREATE TABLE detector.training (
    request_id text             PRIMARY KEY,
    trigger    text             NOT NULL,
    stage      smallint         NOT NULL DEFAULT 1 CHECK (stage BETWEEN 1 AND 5),
    progress   double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    message    text             NOT NULL DEFAULT '',
    version    bigint           NOT NULL DEFAULT 0,
    created_at timestamptz      NOT NULL DEFAULT now(),
    updated_at timestamptz      NOT NULL DEFAULT now()
);

CREATE INDEX training_open ON detector.training (created_at) WHERE stage < 4;

-- What versions did on live samples: every detector adds to it some times a minute.
CREATE TABLE detector.live_score (
    version          bigint   PRIMARY KEY REFERENCES detector.model ON DELETE CASCADE,
    samples          bigint   NOT NULL,
    loud             bigint   NOT NULL,
    loud_with_active bigint   NOT NULL,
    histogram        bigint[] NOT NULL
);
