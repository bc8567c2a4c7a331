//! The loader library.
