-- A decision may ask for a retraining, too; acted stays: the endpoint went to another version.
ALTER TABLE drift_action ADD COLUMN retrained boolean NOT NULL DEFAULT false;
