INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, created_by, updated_by) VALUES ('member', 5, 'a', 'a');
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, created_by, updated_by) VALUES ('org', 1000, '30d', 'a', 'a');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, spend, created_by, updated_by)
    VALUES ('o1', 'Org', 'org', ARRAY['gpt-4o'], 40, 'a', 'a');
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, max_budget, spend, models, teams, password)
    VALUES ('u1', 'One@example.com', 'internal_user', 50, 7.5, ARRAY[]::TEXT[], ARRAY['t1'], 'scrypt:x'),
           ('u2', 'one@EXAMPLE.com', 'internal_user_viewer', NULL, 0, ARRAY['gpt-4o'], ARRAY['t1'], NULL);
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role) VALUES ('u1', 'o1', 'org_admin');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, max_budget, spend, models)
    VALUES ('t1', 'Blue', 'o1', '[{"user_id": "u1", "role": "admin"}, {"user_id": "u2", "role": "user"}]', 100, 20, ARRAY[]::TEXT[]);
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('u1', 't1', 1.25, 2.5, 'member');
INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, blocked, spend) VALUES ('c1', 'Customer', true, 3);
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, total_spend, models, user_id, metadata, rpm_limit, max_budget,
    budget_duration, budget_reset_at)
    VALUES ('KEY', 'sk-...6789', 'prod', 4.060000000000002274, 9, ARRAY['gpt-4o'], 'u1', '{"team": "blue"}', 60, 10, '1mo',
        date_trunc('month', (now() AT TIME ZONE 'UTC')) + interval '1 month'),
    (repeat('ab', 32), 'sk-...over', 'over', 2.5, 2.5, ARRAY[]::TEXT[], NULL, '{}', NULL, 3, '1d', (now() AT TIME ZONE 'UTC') - interval '1 hour');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, team_id, models) VALUES (repeat('cd', 32), 'sk-...sess', 'litellm-dashboard', ARRAY[]::TEXT[]);
INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, "startTime", "endTime") VALUES ('r1', 'acompletion', now(), now());
