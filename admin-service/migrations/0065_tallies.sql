-- What customers and tags show as spent, against the days' sums: `kind` is the table, and `total` what a row was given beside what requests have
-- spent, less what a deleted row of the name had. What was imported and deleted before is accounted for here.
INSERT INTO spend_without_rows (kind, object_id, total)
SELECT 'customers', name, SUM(amount) FROM (
    SELECT user_id AS name, spend AS amount FROM customers
    UNION ALL SELECT entity_id, -spend FROM daily_spend WHERE kind = 'end_user'
) AS sides GROUP BY name HAVING SUM(amount) <> 0;
INSERT INTO spend_without_rows (kind, object_id, total)
SELECT 'tags', name, SUM(amount) FROM (
    SELECT tag_name AS name, spend AS amount FROM tags
    UNION ALL SELECT entity_id, -spend FROM daily_spend WHERE kind = 'tag'
) AS sides GROUP BY name HAVING SUM(amount) <> 0;
