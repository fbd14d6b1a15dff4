//! Small graphs built by hand, and one check that all tests share.

use model::graph::{Binary, DType, Graph, Node, Op, Unary, Value, ValueId, Window};
use model::tensor::Tensor;
use program::{Disclosure, InputMode, Reveal};
use zerotell_compile::{Compiled, Options, compile};

/// Deterministic pseudo-random numbers.
pub struct Random(pub u64);

impl Random {
    /// The next number in [-1, 1).
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32) / (1u64 << 23) as f32 - 1.0
    }

    /// `count` numbers in [-size, size).
    pub fn list(&mut self, count: usize, size: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * size).collect()
    }
}

/// A graph under construction.
pub struct Net {
    pub graph: Graph,
    pub random: Random,
}

pub type Id = ValueId;

impl Net {
    pub fn new(seed: u64) -> Self {
        Self { graph: Graph { name: "test".into(), ..Graph::default() }, random: Random(seed) }
    }

    fn value(&mut self, shape: &[usize], dtype: DType, constant: Option<Tensor>) -> Id {
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name: format!("v{}", id.0), shape: shape.to_vec(), dtype, constant });
        id
    }

    pub fn input(&mut self, shape: &[usize]) -> Id {
        let id = self.value(shape, DType::F32, None);
        self.graph.inputs.push(id);
        id
    }

    pub fn constant(&mut self, shape: &[usize], data: Vec<f32>) -> Id {
        self.value(shape, DType::F32, Some(Tensor::f32(shape, data)))
    }

    /// Random constants of a given size.
    pub fn weights(&mut self, shape: &[usize], size: f32) -> Id {
        let data = self.random.list(shape.iter().product(), size);
        self.constant(shape, data)
    }

    pub fn integers(&mut self, shape: &[usize], dtype: DType, data: Vec<i64>) -> Id {
        self.value(shape, dtype, Some(Tensor::i64(shape, data)))
    }

    pub fn typed(&mut self, op: Op, inputs: &[Id], shape: &[usize], dtype: DType) -> Id {
        let output = self.value(shape, dtype, None);
        let onnx = format!("{op:?}").split(['(', ' ', '{']).next().unwrap_or("").to_string();
        let name = format!("{onnx}_{}", self.graph.nodes.len());
        self.graph.nodes.push(Node { name, onnx, op, inputs: inputs.to_vec(), output });
        output
    }

    pub fn node(&mut self, op: Op, inputs: &[Id], shape: &[usize]) -> Id {
        self.typed(op, inputs, shape, DType::F32)
    }

    pub fn shape(&self, v: Id) -> Vec<usize> {
        self.graph.value(v).shape.clone()
    }

    pub fn unary(&mut self, u: Unary, x: Id) -> Id {
        let shape = self.shape(x);
        self.node(Op::Unary(u), &[x], &shape)
    }

    pub fn relu(&mut self, x: Id) -> Id {
        self.unary(Unary::Relu, x)
    }

    /// `a op b` with the shape of `a`.
    pub fn binary(&mut self, op: Binary, a: Id, b: Id) -> Id {
        let shape = self.shape(a);
        self.node(Op::Binary(op), &[a, b], &shape)
    }

    /// x W + b over the last axis.
    pub fn dense(&mut self, x: Id, out: usize) -> Id {
        let mut shape = self.shape(x);
        let k = shape.pop().unwrap_or(1);
        let w = self.weights(&[k, out], 1.5 / (k as f32).sqrt());
        let b = self.weights(&[out], 0.5);
        shape.push(out);
        let y = self.node(Op::MatMul, &[x, w], &shape);
        self.node(Op::Binary(Binary::Add), &[y, b], &shape)
    }

    /// 2-d convolution with bias.
    pub fn conv(&mut self, x: Id, out: usize, window: &Window, group: usize) -> Id {
        let shape = self.shape(x);
        let per_group = shape[1] / group;
        let taps: usize = window.kernel.iter().product();
        let mut w_shape = vec![out, per_group];
        w_shape.extend(&window.kernel);
        let w = self.weights(&w_shape, 1.5 / ((per_group * taps) as f32).sqrt());
        let b = self.weights(&[out], 0.3);
        let spatial = slid(&shape[2..], window);
        let out_shape = [vec![shape[0], out], spatial].concat();
        self.node(Op::Conv { window: window.clone(), group }, &[x, w, b], &out_shape)
    }

    pub fn max_pool(&mut self, x: Id, window: &Window) -> Id {
        let shape = self.shape(x);
        let out = [shape[..2].to_vec(), slid(&shape[2..], window)].concat();
        self.node(Op::MaxPool(window.clone()), &[x], &out)
    }

    pub fn reshape(&mut self, x: Id, shape: &[usize]) -> Id {
        self.node(Op::Reshape, &[x], shape)
    }

    pub fn output(&mut self, v: Id) {
        self.graph.outputs.push(v);
    }

    /// Random samples in [-1, 1) for all inputs.
    pub fn samples(&mut self, count: usize) -> Vec<Vec<Tensor>> {
        let shapes: Vec<Vec<usize>> = self.graph.inputs.iter().map(|&i| self.shape(i)).collect();
        let mut all = Vec::new();
        for _ in 0..count {
            let one = shapes.iter().map(|s| Tensor::f32(s, self.random.list(s.iter().product(), 1.0)));
            all.push(one.collect());
        }
        all
    }
}

/// A square window with equal padding.
pub fn window(kernel: usize, stride: usize, pad: usize) -> Window {
    Window {
        kernel: vec![kernel; 2],
        strides: vec![stride; 2],
        dilations: vec![1; 2],
        pads: vec![(pad, pad); 2],
    }
}

/// Output lengths of a window.
pub fn slid(lens: &[usize], w: &Window) -> Vec<usize> {
    let one = |i: usize| {
        let reach = w.dilations[i] * (w.kernel[i] - 1) + 1;
        (lens[i] + w.pads[i].0 + w.pads[i].1 - reach) / w.strides[i] + 1
    };
    (0..lens.len()).map(one).collect()
}

/// Compiles, requires a signal-to-noise ratio on every output, and checks every
/// relation of the proof on three inferences with all output values revealed.
pub fn check(net: &mut Net, options: &Options, least_db: f64) -> Compiled {
    let samples = net.samples(40);
    check_on(&net.graph, &samples, options, least_db)
}

pub fn check_on(graph: &Graph, samples: &[Vec<Tensor>], options: &Options, least_db: f64) -> Compiled {
    let compiled = compile(graph, samples, options).unwrap_or_else(|problems| {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("refused:\n{}", list.join("\n"))
    });
    for output in &compiled.report.outputs {
        assert!(
            output.snr_db >= least_db,
            "{} dB < {least_db} dB\n{}",
            output.snr_db,
            compiled.report.to_text()
        );
    }
    relations(&compiled, graph, samples);
    compiled
}

/// Lowers the program for a statement and checks every relation on honest values.
pub fn relations(compiled: &Compiled, graph: &Graph, samples: &[Vec<Tensor>]) {
    let program = &compiled.program;
    let batch = samples.len().min(3);
    let mut inputs = std::collections::BTreeMap::new();
    let tensors = program.tensors.iter().enumerate().filter(|(_, t)| t.home == program::types::Home::Input);
    for (number, (tensor, _)) in tensors.enumerate() {
        let name = &compiled.meta.inputs[number].name;
        let place = graph.inputs.iter().position(|&i| &graph.value(i).name == name).expect("named input");
        let flat: Vec<f32> =
            samples[..batch].iter().flat_map(|s| s[place].as_f32().expect("floats").to_vec()).collect();
        let q = zerotell_compile::quantise_input(&compiled.meta, number, &flat).expect("finite");
        inputs.insert(tensor as u32, q.values);
    }
    let values = program::run(program, batch as u32, &inputs, &compiled.weights).expect("runs");
    let disclosure = Disclosure {
        inputs: vec![InputMode::Private; inputs.len()],
        reveals: (0..program.outputs.len() as u32).map(|output| Reveal::Values { output }).collect(),
    };
    let shape = program::Shape { batch: batch as u32, disclosure: &disclosure, slots: &values };
    let lowered = program::lower(program, &shape).expect("lowers");
    let assignment = program::execute(&lowered, &inputs, &compiled.weights).expect("executes");
    program::check_all(&lowered, &assignment).expect("every relation holds");
}
