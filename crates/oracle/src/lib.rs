//! Commit tables and open linear functionals of them (the ladder).
