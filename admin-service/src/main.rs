//! The admin service's program.

fn main() {}
