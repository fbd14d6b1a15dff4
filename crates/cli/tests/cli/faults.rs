//! What goes wrong around a node.
