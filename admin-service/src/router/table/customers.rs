//! Customers, under both of their names.

use crate::openapi::schema::{Of, list, one};
use crate::policy::Action as A;
use crate::request::{NEW_CUSTOMER, UPDATE_CUSTOMER, USER_IDS};
use crate::router::row::{Row, get, post};
use crate::routes::customers::{self, CUSTOMER};

static ROW: Of = one(&CUSTOMER);

#[rustfmt::skip]
pub(super) fn rows() -> Vec<Row> {
    vec![
        post(A::CustomerNew,     "/customer/new",     "new_end_user",     customers::new).body(NEW_CUSTOMER).json(ROW),
        post(A::CustomerNew,     "/end_user/new",     "new_end_user",     customers::new).body(NEW_CUSTOMER).json(ROW),
        post(A::CustomerUpdate,  "/customer/update",  "update_end_user",  customers::update).body(UPDATE_CUSTOMER).also(&[404]).json(ROW),
        post(A::CustomerUpdate,  "/end_user/update",  "update_end_user",  customers::update).body(UPDATE_CUSTOMER).also(&[404]).json(ROW),
        post(A::CustomerDelete,  "/customer/delete",  "delete_end_user",  customers::delete).body(USER_IDS).also(&[404]).json(one(&customers::DELETED)),
        post(A::CustomerDelete,  "/end_user/delete",  "delete_end_user",  customers::delete).body(USER_IDS).also(&[404]).json(one(&customers::DELETED)),
        post(A::CustomerBlock,   "/customer/block",   "block_user",       customers::block).body(USER_IDS).json(one(&customers::BLOCKED)),
        post(A::CustomerBlock,   "/end_user/block",   "block_user",       customers::block).body(USER_IDS).json(one(&customers::BLOCKED)),
        post(A::CustomerUnblock, "/customer/unblock", "unblock_user",     customers::unblock).body(USER_IDS).json(one(&customers::UNBLOCKED)),
        post(A::CustomerUnblock, "/end_user/unblock", "unblock_user",     customers::unblock).body(USER_IDS).json(one(&customers::UNBLOCKED)),
        get( A::CustomerInfo,    "/customer/info",    "end_user_info",    customers::info).query(customers::INFO_QUERY).also(&[404]).json(ROW),
        get( A::CustomerInfo,    "/end_user/info",    "end_user_info",    customers::info).query(customers::INFO_QUERY).also(&[404]).json(ROW),
        get( A::CustomerList,    "/customer/list",    "list_end_user",    customers::list).query(customers::LIST_QUERY).json(list(&ROW)),
        get( A::CustomerList,    "/end_user/list",    "list_end_user",    customers::list).query(customers::LIST_QUERY).json(list(&ROW)),
    ]
}
