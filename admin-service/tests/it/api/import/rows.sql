INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, created_by, updated_by) VALUES ('member', 5, 'a', 'a');
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, created_by, updated_by) VALUES ('org', 1000, '30d', 'a', 'a');
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, budget_reset_at, created_at, created_by, updated_by)
    VALUES ('month', 2, '30d', date_trunc('month', (now() AT TIME ZONE 'UTC')) + interval '1 month', '2024-01-02 03:04:05', 'u1', 'a'),
           ('ended', 8, '1d', (now() AT TIME ZONE 'UTC') - interval '1 hour', '2024-01-02 03:04:05', 'a', 'a'),
           ('for-ever', 9, NULL, NULL, '2024-01-02 03:04:05', 'a', 'a');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, spend, created_by, updated_by)
    VALUES ('o1', 'Org', 'org', ARRAY['gpt-4o'], 40, 'a', 'a'), ('o2', 'Over', 'ended', ARRAY['gpt-4o'], 6, 'a', 'a');
-- The passwords of u1 and u3 are Abcdef12345!xyz: Python's hashlib.scrypt with n=16384, r=8, p=1, and hashlib.sha256.
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, max_budget, spend, models, teams, password, password_reset_required, created_at)
    VALUES ('u1', 'One@example.com', 'internal_user', 50, 7.5, ARRAY[]::TEXT[], ARRAY['t1'],
            'scrypt:AAECAwQFBgcICQoLDA0ODwWnagZE/aki9KWJj5BAi1rYnx3u0UarIag0NDYOqdG6', NULL, '2024-01-02 03:04:05'),
           ('u2', 'one@EXAMPLE.com', 'internal_user_viewer', NULL, 0, ARRAY['gpt-4o'], ARRAY['t1'], NULL, NULL, '2024-01-02 03:04:05'),
           ('u3', 'three@example.com', 'internal_user', NULL, 0, ARRAY[]::TEXT[], ARRAY[]::TEXT[],
            'f8ffeca3509d9519438ae16984dbd2c2f53a21cb15a5d06c7bccbb09db8ebcdf', false, '2024-01-02 03:04:05'),
           ('u4', 'four@example.com', 'internal_user', NULL, 0, ARRAY[]::TEXT[], ARRAY[]::TEXT[], 'bcrypt:x', NULL, '2024-01-02 03:04:05'),
           ('u5', 'five@example.com', 'internal_user', NULL, 0, ARRAY[]::TEXT[], ARRAY[]::TEXT[],
            'f8ffeca3509d9519438ae16984dbd2c2f53a21cb15a5d06c7bccbb09db8ebcdf', true, '2024-01-02 03:04:05');
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role) VALUES ('u1', 'o1', 'org_admin');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, max_budget, spend, models)
    VALUES ('t1', 'Blue', 'o1', '[{"user_id": "u1", "role": "admin"}, {"user_id": "u2", "role": "user"}]', 100, 20, ARRAY[]::TEXT[]);
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('u1', 't1', 1.25, 2.5, 'member');
INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, blocked, spend, budget_id)
    VALUES ('c1', 'Customer', true, 3, NULL), ('c2', NULL, false, 1.5, 'month'), ('c3', NULL, false, 4, 'ended');
INSERT INTO "LiteLLM_TagTable" (tag_name, description, models, spend, budget_id, created_at, created_by)
    VALUES ('prod', 'Production', ARRAY[]::TEXT[], 0.5, 'for-ever', '2024-01-02 03:04:05', 'u1');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, total_spend, models, user_id, metadata, rpm_limit, max_budget,
    budget_duration, budget_reset_at, created_at)
    VALUES ('KEY', 'sk-...6789', 'prod', 4.060000000000002274, 9, ARRAY['gpt-4o'], 'u1', '{"team": "blue"}', 60, 10, '1mo',
        date_trunc('month', (now() AT TIME ZONE 'UTC')) + interval '1 month', '2024-01-02 03:04:05'),
    (repeat('ab', 32), 'sk-...over', 'over', 2.5, 2.5, ARRAY[]::TEXT[], NULL, '{}', NULL, 3, '1d', (now() AT TIME ZONE 'UTC') - interval '1 hour', now());
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, team_id, models) VALUES (repeat('cd', 32), 'sk-...sess', 'litellm-dashboard', ARRAY[]::TEXT[]);
INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, "startTime", "endTime") VALUES ('r1', 'acompletion', now(), now());
