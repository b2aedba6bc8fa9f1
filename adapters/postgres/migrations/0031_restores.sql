-- Restorations from a backup. One without `reconciled_at` keeps workers and APIs from starting: Temporal and the ledger
-- were not yet compared, and the work in progress of the backup's moment was not settled.
CREATE TABLE restores (
    backup_id text NOT NULL,
    moment timestamptz NOT NULL,
    head bigint NOT NULL,
    with_temporal boolean NOT NULL,
    resume boolean NOT NULL,
    restored_at timestamptz NOT NULL DEFAULT now(),
    reconciled_at timestamptz,
    report jsonb,
    PRIMARY KEY (backup_id, restored_at)
);
