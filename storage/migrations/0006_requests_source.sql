-- Finds what a message asked for, when it is changed or deleted.
CREATE INDEX requests_source ON requests (source, chat);
