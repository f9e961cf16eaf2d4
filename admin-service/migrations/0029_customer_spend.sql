-- What requests that named the customer have spent, ever.
ALTER TABLE customers ADD COLUMN spend BIGINT NOT NULL DEFAULT 0;
