-- Like explanations that began close to each other; a language model words one of them.
CREATE TABLE explainer.like_group (
    key        text        PRIMARY KEY,
    group_id   uuid        NOT NULL,
    begin_time timestamptz NOT NULL,
    last_time  timestamptz NOT NULL,
    worded_by  uuid
);
ALTER TABLE explainer.explanation ADD COLUMN group_id uuid;
CREATE INDEX explanation_by_group ON explainer.explanation (group_id) WHERE group_id IS NOT NULL;

-- Versions of prompt templates; a text never changes under its version.
CREATE TABLE explainer.prompt (
    name        text             NOT NULL,
    version     int              NOT NULL CHECK (version > 0),
    text        text             NOT NULL,
    weight      double precision NOT NULL CHECK (weight BETWEEN 0 AND 1000),
    author      text             NOT NULL,
    create_time timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, version)
);

-- How the text of one explanation fared. It outlives the explanation: it measures the prompt.
CREATE TABLE explainer.outcome (
    explanation_id uuid             PRIMARY KEY,
    prompt_id      text             NOT NULL,
    provider       text             NOT NULL,
    model          text             NOT NULL,
    used           boolean          NOT NULL,
    struck         int              NOT NULL,
    duration_s     double precision NOT NULL,
    input_tokens   bigint           NOT NULL,
    output_tokens  bigint           NOT NULL,
    cost           double precision NOT NULL,
    cached         boolean          NOT NULL,
    create_time    timestamptz      NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outcome_by_prompt ON explainer.outcome (prompt_id);

-- What people think of an explanation, the newest of each.
CREATE TABLE explainer.feedback (
    explanation_id uuid        NOT NULL,
    author         text        NOT NULL,
    verdict        text        NOT NULL CHECK (verdict IN ('right', 'partly', 'wrong')),
    root_cause     text        NOT NULL,
    comment        text        NOT NULL,
    update_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (explanation_id, author)
);
