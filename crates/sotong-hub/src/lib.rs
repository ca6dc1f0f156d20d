//! Sotong's hub.
pub mod core;
pub mod wire;
