//! `ringwall audit`: right about good images, spoiled images, and images that are not ours.

mod command;
mod foreign;
mod hidden;
mod images;
