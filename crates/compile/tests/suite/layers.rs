//! Every kind of layer, compared with the float interpreter.

use super::common::{Net, check, window};
use model::graph::{Binary, Op, Unary, Window};
use zerotell_compile::{Options, Precision};

fn bits(weights: u8, activations: u8) -> Options {
    Options { precision: Precision::Bits { weights, activations }, ..Options::default() }
}

#[test]
fn mlp() {
    let mut net = Net::new(1);
    let x = net.input(&[1, 20]);
    let h = net.dense(x, 32);
    let h = net.relu(h);
    let h = net.dense(h, 16);
    let h = net.relu(h);
    let y = net.dense(h, 5);
    net.output(y);
    check(&mut net, &bits(8, 8), 25.0);
    check(&mut net, &bits(12, 12), 50.0);
    check(&mut net, &bits(16, 16), 70.0);
    let public = Options { weights_private: false, ..bits(8, 8) };
    let compiled = check(&mut net, &public, 25.0);
    assert!(compiled.weights.is_empty() && compiled.program.model_oracle.is_none());
}

#[test]
fn cnn_with_pool_and_flatten() {
    let mut net = Net::new(2);
    let x = net.input(&[1, 1, 12, 12]);
    let c = net.conv(x, 4, &window(3, 1, 1), 1);
    let c = net.relu(c);
    let c = net.max_pool(c, &window(2, 2, 0));
    let c = net.conv(c, 6, &window(3, 1, 0), 1);
    let c = net.relu(c);
    let c = net.max_pool(c, &window(2, 2, 0));
    let f = net.reshape(c, &[1, 24]);
    let y = net.dense(f, 10);
    net.output(y);
    check(&mut net, &bits(8, 8), 25.0);
    check(&mut net, &bits(16, 16), 60.0);
}

#[test]
fn pooling_windows_that_overlap_and_pad() {
    for (seed, w) in
        [window(3, 2, 1), window(3, 1, 1), window(2, 1, 0), window(3, 3, 1)].into_iter().enumerate()
    {
        let mut net = Net::new(seed as u64);
        let x = net.input(&[1, 2, 9, 9]);
        let c = net.conv(x, 3, &window(3, 1, 1), 1);
        let p = net.max_pool(c, &w);
        let q = net.conv(p, 2, &window(3, 1, 1), 1);
        net.output(q);
        check(&mut net, &bits(8, 8), 25.0);
    }
}

#[test]
fn residual_blocks() {
    let mut net = Net::new(3);
    let x = net.input(&[1, 4, 8, 8]);
    let stem = net.conv(x, 8, &window(3, 1, 1), 1);
    let stem = net.relu(stem);
    let a = net.conv(stem, 8, &window(3, 1, 1), 1);
    let a = net.relu(a);
    let b = net.conv(a, 8, &window(3, 1, 1), 1);
    let s = net.binary(Binary::Add, b, stem);
    let s = net.relu(s);
    // A block with a projected shortcut.
    let c = net.conv(s, 12, &window(3, 2, 1), 1);
    let c = net.relu(c);
    let c = net.conv(c, 12, &window(3, 1, 1), 1);
    let d = net.conv(s, 12, &window(1, 2, 0), 1);
    let e = net.binary(Binary::Add, c, d);
    let e = net.relu(e);
    let g = net.node(Op::ReduceMean { axes: vec![2, 3], keepdims: false }, &[e], &[1, 12]);
    let y = net.dense(g, 7);
    net.output(y);
    check(&mut net, &bits(8, 8), 22.0);
    check(&mut net, &bits(12, 12), 45.0);
}

#[test]
fn depthwise_and_grouped() {
    let mut net = Net::new(4);
    let x = net.input(&[1, 6, 7, 7]);
    let c = net.conv(x, 6, &window(3, 1, 1), 6);
    let c = net.unary(Unary::Clip(0.0, 6.0), c);
    let c = net.conv(c, 8, &window(1, 1, 0), 1);
    let c = net.unary(Unary::HardSwish, c);
    let c = net.conv(c, 12, &window(3, 2, 1), 4);
    let c = net.unary(Unary::LeakyRelu(0.1), c);
    let c = net.conv(c, 12, &window(3, 1, 1), 12);
    let p = net.conv(c, 5, &window(1, 1, 0), 1);
    net.output(p);
    check(&mut net, &bits(8, 8), 20.0);
    check(&mut net, &bits(12, 12), 40.0);
}

#[test]
fn one_dimensional_convolution_with_dilation() {
    let mut net = Net::new(5);
    let x = net.input(&[1, 3, 32]);
    let w = |k, s, d, p| Window { kernel: vec![k], strides: vec![s], dilations: vec![d], pads: vec![p] };
    let c = net.conv(x, 8, &w(5, 2, 1, (2, 1)), 1);
    let c = net.unary(Unary::Tanh, c);
    let c = net.conv(c, 8, &w(3, 1, 2, (2, 2)), 1);
    let c = net.relu(c);
    let c = net.max_pool(c, &w(2, 2, 1, (0, 0)));
    let len = net.shape(c)[2];
    let f = net.reshape(c, &[1, 8 * len]);
    let y = net.dense(f, 4);
    net.output(y);
    check(&mut net, &bits(8, 8), 20.0);
}

#[test]
fn structure() {
    let mut net = Net::new(6);
    let x = net.input(&[1, 4, 6]);
    let t = net.node(Op::Transpose(vec![0, 2, 1]), &[x], &[1, 6, 4]);
    let a = net.dense(t, 8);
    let a = net.relu(a);
    let s = net.node(Op::Slice { starts: vec![0, 1, 0], steps: vec![1, 2, 1] }, &[a], &[1, 3, 8]);
    let u = net.node(Op::Slice { starts: vec![0, 5, 0], steps: vec![1, -1, 1] }, &[a], &[1, 3, 8]);
    let c = net.node(Op::Concat(2), &[s, u], &[1, 3, 16]);
    let g = net.node(Op::Gather { axis: 1, indices: vec![2, 0] }, &[c], &[1, 2, 16]);
    let p = net.node(Op::Pad { pads: vec![(0, 0), (1, 0), (0, 2)], value: 0.25 }, &[g], &[1, 3, 18]);
    let r = net.reshape(p, &[1, 54]);
    let y = net.dense(r, 6);
    net.output(y);
    check(&mut net, &bits(8, 8), 25.0);
}

#[test]
fn concat_of_branches_with_other_scales() {
    let mut net = Net::new(7);
    let x = net.input(&[1, 3, 6, 6]);
    let a = net.conv(x, 4, &window(1, 1, 0), 1);
    let a = net.relu(a);
    let b = net.conv(x, 5, &window(3, 1, 1), 1);
    let b = net.unary(Unary::Sigmoid, b);
    let c = net.node(Op::Concat(1), &[a, b, x], &[1, 12, 6, 6]);
    let d = net.conv(c, 4, &window(3, 1, 1), 1);
    net.output(d);
    check(&mut net, &bits(8, 8), 22.0);
}

#[test]
fn average_pools() {
    for include in [false, true] {
        let mut net = Net::new(8);
        let x = net.input(&[1, 2, 7, 7]);
        let c = net.conv(x, 3, &window(3, 1, 1), 1);
        let w = window(3, 2, 1);
        let p = net.node(Op::AveragePool { window: w, count_include_pad: include }, &[c], &[1, 3, 4, 4]);
        let q = net.relu(p);
        let d = net.conv(q, 2, &window(3, 1, 1), 1);
        net.output(d);
        check(&mut net, &bits(8, 8), 22.0);
    }
}

#[test]
fn means_sums_and_maxima_over_axes() {
    let mut net = Net::new(9);
    let x = net.input(&[1, 4, 5, 6]);
    let m = net.node(Op::ReduceMean { axes: vec![3], keepdims: true }, &[x], &[1, 4, 5, 1]);
    let d = net.binary(Binary::Sub, x, m);
    let s = net.node(Op::ReduceSum { axes: vec![2], keepdims: false }, &[d], &[1, 4, 6]);
    let k = net.node(Op::ReduceMax { axes: vec![1], keepdims: false }, &[s], &[1, 6]);
    let y = net.dense(k, 3);
    net.output(y);
    check(&mut net, &bits(8, 8), 20.0);
}

#[test]
fn products_of_values() {
    let mut net = Net::new(10);
    let x = net.input(&[1, 4, 8]);
    let q = net.dense(x, 6);
    let k = net.dense(x, 6);
    let kt = net.node(Op::Transpose(vec![0, 2, 1]), &[k], &[1, 6, 4]);
    let s = net.node(Op::MatMul, &[q, kt], &[1, 4, 4]);
    let s = net.unary(Unary::Tanh, s);
    let v = net.dense(x, 6);
    let o = net.node(Op::MatMul, &[s, v], &[1, 4, 6]);
    let gate = net.dense(x, 6);
    let gate = net.unary(Unary::Sigmoid, gate);
    let y = net.binary(Binary::Mul, o, gate);
    net.output(y);
    check(&mut net, &bits(8, 8), 18.0);
    check(&mut net, &bits(12, 12), 40.0);
}

#[test]
fn normalised_inputs_and_constants() {
    let mut net = Net::new(11);
    let x = net.input(&[1, 9]);
    let mean = net.weights(&[9], 0.5);
    let std = net.constant(&[9], vec![0.5, 0.9, 1.5, 0.7, 0.4, 1.1, 0.8, 2.0, 1.3]);
    let c = net.binary(Binary::Sub, x, mean);
    let c = net.binary(Binary::Div, c, std);
    let h = net.dense(c, 12);
    let gain = net.weights(&[12], 2.0);
    let h = net.binary(Binary::Mul, h, gain);
    let shift = net.weights(&[12], 0.5);
    let h = net.binary(Binary::Add, h, shift);
    let h = net.relu(h);
    let y = net.dense(h, 1);
    net.output(y);
    check(&mut net, &bits(8, 8), 22.0);
}

#[test]
fn maximum_and_minimum_of_values() {
    for op in [Binary::Max, Binary::Min] {
        for (w, a) in [(8, 8), (16, 16)] {
            let mut net = Net::new(12);
            let x = net.input(&[1, 10]);
            let a1 = net.dense(x, 8);
            let b1 = net.dense(x, 8);
            let m = net.binary(op, a1, b1);
            let y = net.dense(m, 4);
            net.output(y);
            check(&mut net, &bits(w, a), 22.0);
        }
    }
}

#[test]
fn every_function() {
    let all = [
        Unary::Relu,
        Unary::LeakyRelu(0.2),
        Unary::Clip(-0.5, 0.7),
        Unary::HardSigmoid(0.2, 0.5),
        Unary::HardSwish,
        Unary::Sigmoid,
        Unary::Tanh,
        Unary::Erf,
        Unary::Gelu,
        Unary::GeluTanh,
        Unary::Exp,
        Unary::Neg,
        Unary::Abs,
        Unary::Softplus,
        Unary::Softsign,
        Unary::Elu(1.0),
        Unary::Selu(1.67, 1.05),
        Unary::Celu(1.2),
        Unary::Swish(1.0),
        Unary::Mish,
        Unary::Sin,
        Unary::Cos,
        Unary::Pow(2.0),
    ];
    for (i, u) in all.into_iter().enumerate() {
        let mut net = Net::new(100 + i as u64);
        let x = net.input(&[1, 8]);
        let h = net.dense(x, 12);
        let h = net.unary(u, h);
        let y = net.dense(h, 3);
        net.output(y);
        check(&mut net, &bits(8, 8), 22.0);
    }
    // Functions with a smaller domain, and jumps.
    for u in [Unary::Sqrt, Unary::Log, Unary::Reciprocal] {
        let mut net = Net::new(200);
        let x = net.input(&[1, 8]);
        let h = net.dense(x, 12);
        let h = net.unary(Unary::Softplus, h);
        let one = net.constant(&[1], vec![0.5]);
        let h = net.binary(Binary::Add, h, one);
        let h = net.unary(u, h);
        let y = net.dense(h, 3);
        net.output(y);
        check(&mut net, &bits(8, 8), 22.0);
    }
}

#[test]
fn composed_functions_are_one_table() {
    // x * sigmoid(x), and 0.5 x (1 + erf(x / sqrt 2)).
    let mut net = Net::new(13);
    let x = net.input(&[1, 8]);
    let h = net.dense(x, 12);
    let s = net.unary(Unary::Sigmoid, h);
    let h = net.binary(Binary::Mul, h, s);
    let g = net.dense(h, 12);
    let root = net.constant(&[], vec![std::f32::consts::FRAC_1_SQRT_2]);
    let e = net.binary(Binary::Mul, g, root);
    let e = net.unary(Unary::Erf, e);
    let one = net.constant(&[], vec![1.0]);
    let e = net.binary(Binary::Add, e, one);
    let e = net.binary(Binary::Mul, e, g);
    let half = net.constant(&[], vec![0.5]);
    let e = net.binary(Binary::Mul, e, half);
    let y = net.dense(e, 3);
    net.output(y);
    let compiled = check(&mut net, &bits(8, 8), 22.0);
    assert_eq!(compiled.program.operators.len(), 3, "two rounds with a table and the logits");
}

/// Channels that were shuffled come back in one axis, also when there are many.
#[test]
fn shuffled_channels_meet_a_grouped_convolution() {
    for (groups, each) in [(4, 6), (4, 136)] {
        let mut net = Net::new(11);
        let x = net.input(&[1, groups * each, 2, 1]);
        let cut = net.reshape(x, &[1, groups, each, 2, 1]);
        let turned =
            net.node(model::graph::Op::Transpose(vec![0, 2, 1, 3, 4]), &[cut], &[1, each, groups, 2, 1]);
        let shuffled = net.reshape(turned, &[1, each * groups, 2, 1]);
        let y = net.conv(shuffled, 4, &window(1, 1, 0), 4);
        net.output(y);
        check(&mut net, &bits(10, 10), 30.0);
    }
}
