-- What a run does: train, or evaluate alone. Earlier versions launched the first only.
ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'train';
