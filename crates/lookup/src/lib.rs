//! Membership in tables becomes two linear claims (LogUp-GKR).
