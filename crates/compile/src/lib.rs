//! Graph + calibration data -> integer Program, accuracy report, cost estimate.
