//! What the tests stand on: real databases and a real Redis, each test with its own.

pub mod database;
pub mod gateway;
pub mod redis;
pub mod rows;
pub mod service;
pub mod small_disk;
pub mod stream;
