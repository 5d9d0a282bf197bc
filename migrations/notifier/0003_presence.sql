-- What is being sent, by who sends it: looked at every second for replicas that are gone.
CREATE INDEX notice_sending ON notifier.notice (owner) WHERE state = 'sending';
