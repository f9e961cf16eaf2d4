//! Everybody who may come.

use serde_json::json;
use tollkeeper_admin::caller::Role;
use tollkeeper_admin::policy::{Relation, Rule};

use super::super::clients::{Api, Client, text};

/// Somebody who may come.
pub struct Visitor {
    pub name: &'static str,
    pub client: Client,
    /// None: nobody, refused by every route that is not public.
    pub role: Option<Role>,
    /// The user, if there is one.
    pub user: Option<String>,
    /// The key that it comes with, if there is no user.
    pub key: Option<String>,
    pub relation: Option<Related>,
    /// Whether it comes with a browser's session.
    pub browser: bool,
    pub headers: &'static [(&'static str, &'static str)],
}

/// What a visitor is beside the role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Related {
    TeamAdmin,
    TeamMember,
    /// A member of a team that lets its members all that a team can.
    PermittedMember,
    OrganizationAdmin,
}

impl Visitor {
    fn new(name: &'static str, client: Client, role: Option<Role>) -> Self {
        Self {
            name,
            client,
            role,
            user: None,
            key: None,
            relation: None,
            browser: false,
            headers: &[],
        }
    }

    /// A key of nobody.
    async fn keyholder(api: &Api) -> Self {
        let key = api.master().new_key(json!({})).await;
        let client = api.client(Some(text(&key, "key")));
        let mut visitor = Self::new("no_user", client, Some(Role::Unknown));
        visitor.key = Some(text(&key, "token").to_owned());
        visitor
    }

    /// The page of a browser: of this service, or of another one where `headers` say so.
    async fn browser(
        api: &Api,
        name: &'static str,
        headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        let mut visitor = Self::person(api, name, Role::InternalUser).await;
        visitor.client = api.signed_in(visitor.user.as_deref().unwrap()).await;
        visitor.browser = true;
        visitor.headers = headers;
        visitor
    }

    async fn person(api: &Api, name: &'static str, role: Role) -> Self {
        let person = api.person(role.as_str()).await;
        let mut visitor = Self::new(name, person.client, Some(role));
        visitor.user = Some(person.id);
        visitor
    }

    async fn related(api: &Api, name: &'static str, relation: Related) -> Self {
        let mut visitor = Self::person(api, name, Role::InternalUser).await;
        visitor.relation = Some(relation);
        visitor
    }

    /// What the relation adds by this rule.
    pub fn adds(&self, rule: &Rule) -> Relation {
        let [team_admin, member, organization_admin] = rule.relations;
        match self.relation {
            None => Relation::Nothing,
            Some(Related::TeamAdmin) => team_admin,
            Some(Related::TeamMember | Related::PermittedMember) => member,
            Some(Related::OrganizationAdmin) => organization_admin,
        }
    }
}

/// Everybody.
pub async fn visitors(api: &Api) -> Vec<Visitor> {
    let mut all = vec![
        Visitor::new("anonymous", api.anonymous(), None),
        Visitor::new("unknown_key", api.stranger(), None),
        Visitor::keyholder(api).await,
    ];
    for role in [
        Role::ProxyAdmin,
        Role::ProxyAdminViewer,
        Role::InternalUser,
        Role::InternalUserViewer,
    ] {
        all.push(Visitor::person(api, role.as_str(), role).await);
    }
    all.push(Visitor::browser(api, "session", &[]).await);
    let other_site = &[("sec-fetch-site", "cross-site")];
    all.push(Visitor::browser(api, "session_elsewhere", other_site).await);
    all.push(Visitor::related(api, "team_admin", Related::TeamAdmin).await);
    all.push(Visitor::related(api, "team_member", Related::TeamMember).await);
    let permitted = Related::PermittedMember;
    all.push(Visitor::related(api, "permitted_member", permitted).await);
    all.push(Visitor::related(api, "org_admin", Related::OrganizationAdmin).await);
    all
}
