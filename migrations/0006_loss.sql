-- The loss, which every stage has, as a column: for lists, and for whoever asks by SQL.
ALTER TABLE points ADD COLUMN loss REAL GENERATED ALWAYS AS (json_extract(metrics, '$.loss')) VIRTUAL;
