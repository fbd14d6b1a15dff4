//! Transcript and proof bytes: one tape, two ends.
