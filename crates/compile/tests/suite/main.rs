//! Programs compiled from float graphs, compared with the float interpreter, with
//! every relation of the proof checked on honest values.

mod common;
mod layers;
mod programs;
