//! Every rule of validation and lowering refuses what it should, at the right place.

use crate::common::{Given, Random, aff, given, narrow, table, view, whole};
use crate::worked::two_layers;
use zerotell_program::types::{
    Contraction, Domain, Form, Home, Map, Operator, Program, Scale, Table, Tensor, View,
};
use zerotell_program::{
    Builder, Disclosure, ExecuteError, InputMode, Invalid, Reason, Reveal, Shape, Site, execute, lower,
    validate,
};

/// What validation says after a change of a valid program.
fn refused(change: impl Fn(&mut Program)) -> Invalid {
    let mut program = two_layers();
    change(&mut program);
    validate(&program).unwrap_err()
}

fn text(invalid: Invalid) -> (Site, &'static str) {
    match invalid.reason {
        Reason::Structure(text) => (invalid.site, text),
        Reason::Limit { what, .. }
        | Reason::Range { what, .. }
        | Reason::Count { what, .. }
        | Reason::Wrap { what }
        | Reason::NotTotal { what, .. } => (invalid.site, what),
    }
}

fn round(program: &mut Program, index: usize) -> &mut zerotell_program::types::Round {
    match &mut program.operators[index] {
        Operator::Round(round) => round,
        _ => panic!("operator {index} is a Round"),
    }
}

#[test]
fn parameters() {
    assert_eq!(text(refused(|p| p.limb_bits = 3)), (Site::Program, "limb bits"));
    assert_eq!(text(refused(|p| p.limb_bits = 17)), (Site::Program, "limb bits"));
    assert_eq!(text(refused(|p| p.grind = 25)), (Site::Program, "grinding bits"));
    assert_eq!(text(refused(|p| p.lambda = 83)), (Site::Program, "lambda + grind"));
    assert_eq!(text(refused(|p| p.metadata = vec![0; (1 << 20) + 1])), (Site::Program, "metadata bytes"));
    assert_eq!(text(refused(|p| p.outputs.clear())), (Site::Program, "a program needs an output"));
    assert_eq!(text(refused(|p| p.outputs[0] = 1)).0, Site::Output(0));
    assert_eq!(text(refused(|p| p.outputs[0] = 11)), (Site::Output(0), "an output's tensor does not exist"));
    assert_eq!(text(refused(|p| p.model_oracle = None)).0, Site::Program);
    let rows = refused(|p| p.model_oracle.as_mut().unwrap().rows = 2);
    assert_eq!(text(rows), (Site::Program, "rows of the model oracle"));
}

#[test]
fn ladders() {
    let rung = |rows, rate| zerotell_program::types::Rung { rows, rate };
    for (rows, what) in [(3, "rows of a rung"), (129, "rows of a rung")] {
        assert_eq!(text(refused(|p| p.ladder.fresh.rows = rows)), (Site::Program, what));
        assert_eq!(text(refused(|p| p.ladder.end.rows = rows)), (Site::Program, what));
        assert_eq!(text(refused(|p| p.ladder.inner.push(rung(rows, 2)))), (Site::Program, what));
    }
    let rate = (Site::Program, "lg of positions per coefficient");
    for bad in [0, 6] {
        assert_eq!(text(refused(|p| p.ladder.fresh.rate = bad)), rate);
        assert_eq!(text(refused(|p| p.ladder.inner[0].rate = bad)), rate);
        assert_eq!(text(refused(|p| p.ladder.end.rate = bad)), rate);
    }
    for bad in [1023, 32_769] {
        assert_eq!(text(refused(|p| p.ladder.last_max = bad)), (Site::Program, "the last vector"));
    }
    assert_eq!(text(refused(|p| p.ladder.inner.clear())), (Site::Program, "rungs of the ladder"));
    assert_eq!(
        text(refused(|p| p.ladder.inner = vec![rung(17, 3); 9])),
        (Site::Program, "rungs of the ladder")
    );
}

#[test]
fn tensors() {
    let at = Site::Tensor(0);
    assert_eq!(text(refused(|p| p.tensors[0].lo = 8)).0, at);
    assert_eq!(text(refused(|p| p.tensors[0].hi = i64::MAX)), (at, "largest value"));
    assert_eq!(text(refused(|p| p.tensors[0].axes = vec![1; 9])), (at, "axes"));
    assert_eq!(text(refused(|p| p.tensors[0].axes = vec![0, 0])), (at, "at most one axis may be the batch"));
    assert_eq!(text(refused(|p| p.tensors[0].axes = vec![1 << 14, 1 << 14])), (at, "positions"));
    assert_eq!(text(refused(|p| p.tensors[0].content = [1].into())), (at, "content entries"));
    let batched = "a const or model tensor may not have a batch axis";
    assert_eq!(text(refused(|p| p.tensors[1].axes = vec![7, 0])), (Site::Tensor(1), batched));
    assert_eq!(
        text(refused(|p| std::sync::Arc::make_mut(&mut p.tensors[5].content)[9] = 99)),
        (Site::Tensor(5), "content entry")
    );
    assert_eq!(
        text(refused(|p| p.tensors[5].content = p.tensors[5].content[..127].into())),
        (Site::Tensor(5), "content entries")
    );
    let ones = refused(|p| {
        p.tensors.push(Tensor { home: Home::Ones, axes: vec![], lo: 0, hi: 1, content: [].into() });
    });
    assert_eq!(ones.site, Site::Tensor(6));
}

/// A program of one Check of `form` over `axes`; `x` is (B,4) in 0..=7 and tensor 0.
fn check(axes: &[u32], form: Form, bits: u8) -> Result<Vec<u32>, Invalid> {
    let mut b = Builder::new(84, 16, 8);
    b.input(&[0, 4], 0, 7).unwrap();
    b.push(Operator::Check { axes: axes.to_vec(), form, bits })
}

fn check_text(axes: &[u32], maps: Vec<Map>) -> &'static str {
    text(check(axes, view(0, maps), 8).unwrap_err()).1
}

#[test]
fn views() {
    assert!(check(&[0, 4], whole(0, 2), 3).is_ok());
    let batch = "a batch axis must be read by the batch position axis with step 1 and offset 0";
    assert_eq!(check_text(&[0, 4], vec![aff(1), aff(0)]), batch);
    assert_eq!(check_text(&[4], vec![Map::Fix { at: 0 }, aff(0)]), batch);
    assert_eq!(check_text(&[0, 4], vec![Map::Aff { axis: 0, step: 1, off: 1 }, aff(1)]), batch);
    assert_eq!(check_text(&[0], vec![Map::Sum, aff(0)]), batch);
    assert_eq!(check_text(&[0, 4], vec![aff(0)]), "a view needs one map per axis of its tensor");
    assert_eq!(check_text(&[0, 4], vec![aff(0), aff(2)]), "a map reads a position axis that does not exist");
    let twice = Map::Win { a: 1, b: 1, step: 1, dil: 1, off: 0 };
    assert_eq!(check_text(&[0, 4], vec![aff(0), twice]), "a position axis occurs twice in one view");
    assert_eq!(check_text(&[0], vec![aff(0), Map::Fix { at: 4 }]), "a fixed index lies outside its axis");
    let far = Map::Aff { axis: 1, step: 1 << 32, off: 0 };
    assert_eq!(check_text(&[0, 4], vec![aff(0), far]), "step or offset of a map");
    let gather = |indices: Vec<u32>| Map::Gather { axis: 1, indices };
    assert_eq!(check_text(&[0, 2], vec![aff(0), gather(vec![0])]), "gather indices");
    assert_eq!(check_text(&[0, 2], vec![aff(0), gather(vec![0, 4])]), "a gather index lies outside its axis");
    let join = Map::Join { a: 1, b: 2, m: 3 };
    assert_eq!(check_text(&[0, 2, 2], vec![aff(0), join]), "a join's m must be the length of its fast axis");
    let mat = |rows, weights| Map::Mat { axis: 1, rows, cols: 4, weights };
    assert!(check_text(&[0, 2], vec![aff(0), mat(3, vec![0; 12])]).starts_with("a matrix map must"));
    assert!(check_text(&[0, 2], vec![aff(0), mat(2, vec![0; 7])]).starts_with("a matrix map needs"));
    let pool = Map::Pool { axis: 1, step: 1, dil: 1, off: 0, m: 0 };
    assert!(check_text(&[0, 4], vec![aff(0), pool]).starts_with("a pool window"));
    let later = Form(vec![(1, View { tensor: 1, maps: vec![] })]);
    assert_eq!(text(check(&[], later, 8).unwrap_err()).1, "a form reads a tensor that does not exist yet");
    let mut many = whole(0, 2);
    many.0 = vec![many.0[0].clone(); 257];
    assert_eq!(text(check(&[0, 4], many, 20).unwrap_err()).1, "terms of a form");
    assert_eq!(text(check(&[1 << 14, 1 << 14], Form::default(), 1).unwrap_err()).1, "positions");
}

/// Reading outside the tensor gives 0, which the interval must contain.
#[test]
fn intervals() {
    let mut b = Builder::new(84, 16, 8);
    let x = b.input(&[4], 3, 7).unwrap();
    let interval = |map: Map, axes: &[u32]| b.form_interval(&view(x, vec![map]), axes).unwrap();
    assert_eq!(interval(aff(0), &[4]), (3, 7));
    assert_eq!(interval(aff(0), &[5]), (0, 7));
    assert_eq!(interval(Map::Aff { axis: 0, step: -1, off: 3 }, &[4]), (3, 7));
    assert_eq!(interval(Map::Aff { axis: 0, step: -1, off: 2 }, &[4]), (0, 7));
    assert_eq!(interval(Map::Win { a: 0, b: 1, step: 1, dil: 1, off: 0 }, &[2, 3]), (3, 7));
    assert_eq!(interval(Map::Win { a: 0, b: 1, step: 2, dil: 1, off: 0 }, &[2, 3]), (0, 7));
    assert_eq!(interval(Map::Join { a: 0, b: 1, m: 2 }, &[2, 2]), (3, 7));
    assert_eq!(interval(Map::Join { a: 0, b: 1, m: 2 }, &[3, 2]), (0, 7));
    assert_eq!(interval(Map::Sum, &[]), (12, 28));
    assert_eq!(interval(Map::Pool { axis: 0, step: 2, dil: 1, off: 0, m: 2 }, &[2]), (6, 14));
    assert_eq!(interval(Map::Pool { axis: 0, step: 2, dil: 1, off: -1, m: 2 }, &[2]), (0, 14));
    let weights = vec![1, 0, 0, -1, 2, 0, 0, 0];
    assert_eq!(interval(Map::Mat { axis: 0, rows: 2, cols: 4, weights }, &[2]), (-4, 14));
    let doubled =
        Form(vec![(2, View { tensor: x, maps: vec![aff(0)] }), (-2, View { tensor: x, maps: vec![aff(0)] })]);
    assert_eq!(b.form_interval(&doubled, &[4]), Ok((0, 0)));
}

#[test]
fn totality() {
    let not_total = |what, lo, hi, least, most| Reason::NotTotal { what, lo, hi, least, most };
    let reason = check(&[0, 4], whole(0, 2), 2).unwrap_err().reason;
    assert_eq!(reason, not_total("the form of a check", 0, 7, 0, 3));
    let small = refused(|p| round(p, 1).domain = Domain::Narrow { lo: -64, bits: 5 });
    assert!(matches!(small.reason, Reason::NotTotal { what: "the quotient of a round", .. }));
    assert_eq!(small.site, Site::Operator(1));
    let table_key = refused(|p| p.tables[0].keys[0].0 = 0);
    assert!(matches!(table_key.reason, Reason::NotTotal { .. }));
    let mut b = Builder::new(84, 16, 8);
    let x = b.input(&[], -9, 9).unwrap();
    let split = |bits| Operator::Split { axes: vec![], form: whole(x, 0), bits };
    assert!(b.push(split(4)).is_ok());
    assert_eq!(b.push(split(3)).unwrap_err().reason, not_total("the form of a split", -9, 9, -7, 7));
    assert_eq!(text(b.push(split(32)).unwrap_err()).1, "bits of a split");
    let t = table(&mut b, -9, 18, |k| k);
    let keys = Operator::Table { axes: vec![], table: t, keys: vec![whole(x, 0)] };
    assert_eq!(b.push(keys).unwrap_err().reason, not_total("a key of a table", -9, 9, -9, 8));
}

#[test]
fn wrap() {
    // |3 * acc| is about 2^62, 2^40 * q as well: fine. A larger multiplier is not.
    let mut b = Builder::new(84, 16, 16);
    let x = b.input(&[1], 0, 1 << 30).unwrap();
    let y = b.input(&[1], 0, 1 << 30).unwrap();
    let product = Contraction { sum: vec![], a: whole(x, 1), b: whole(y, 1), c: Form::default() };
    let mut round = narrow(&[1], Some(product), 40);
    round.domain = Domain::Narrow { lo: 0, bits: 22 };
    round.scale = Scale::One(3);
    assert!(b.push(Operator::Round(round.clone())).is_ok());
    round.scale = Scale::One(16);
    round.domain = Domain::Narrow { lo: 0, bits: 25 };
    assert!(matches!(b.push(Operator::Round(round.clone())).unwrap_err().reason, Reason::Wrap { .. }));
    let sum = Contraction { sum: vec![8], a: whole(x, 1), b: whole(y, 1), c: Form::default() };
    let commit = Operator::Commit { axes: vec![1], contraction: sum };
    assert!(matches!(b.push(commit).unwrap_err().reason, Reason::Wrap { .. }));
    let far = Form(vec![(1 << 40, View { tensor: x, maps: vec![aff(0)] })]);
    let check = Operator::Check { axes: vec![1], form: far, bits: 62 };
    assert!(matches!(b.push(check).unwrap_err().reason, Reason::Wrap { .. }));
}

#[test]
fn rounds() {
    let structure =
        |change: fn(&mut zerotell_program::types::Round)| text(refused(|p| change(round(p, 0)))).1;
    assert_eq!(structure(|r| r.shift = 41), "shift");
    assert_eq!(structure(|r| r.half_even = true), "a round's table has the wrong number of key axes or outs");
    assert_eq!(structure(|r| r.scale = Scale::One(0)), "multiplier");
    assert_eq!(structure(|r| r.scale = Scale::One(1 << 31)), "multiplier");
    assert_eq!(structure(|r| r.scale = Scale::Axis(1, vec![1; 6])), "multipliers");
    assert!(structure(|r| r.scale = Scale::Axis(0, vec![1])).starts_with("a multiplier axis"));
    assert!(structure(|r| r.domain = Domain::Narrow { lo: 1, bits: 0 }).starts_with("a narrow round with"));
    assert_eq!(structure(|r| r.table = Some(1)), "an operator uses a table that does not exist");
    assert!(structure(|r| r.contraction = None).starts_with("a round without contraction"));
    assert!(structure(|r| r.contraction.as_mut().unwrap().sum = vec![0]).starts_with("a sum axis"));
    let unread = structure(|r| r.contraction.as_mut().unwrap().b.0[0].1.maps[0] = Map::Fix { at: 0 });
    assert_eq!(unread, "an output axis of a contraction is read by neither factor");
    let second = |change: fn(&mut zerotell_program::types::Round)| text(refused(|p| change(round(p, 1)))).1;
    assert!(second(|r| r.half_even = true).starts_with("half to even needs"));
    let wide = Domain::Wide { lo: -64, low_bits: 7, high_bits: 3 };
    let mut program = two_layers();
    round(&mut program, 1).domain = wide.clone();
    assert_eq!(text(validate(&program).unwrap_err()).1, "a wide round needs a table");
    round(&mut program, 0).domain = wide;
    assert_eq!(
        text(validate(&program).unwrap_err()).1,
        "a round's table has the wrong number of key axes or outs"
    );
}

#[test]
fn unused_parts() {
    let input = refused(|p| {
        p.operators.clear();
        p.outputs = vec![0];
    });
    assert_eq!(text(input), (Site::Tensor(1), "an input or model tensor is never read"));
    let table = refused(|p| p.tables.push(p.tables[0].clone()));
    assert_eq!(text(table), (Site::Table(1), "a table is never used"));
}

#[test]
fn tables() {
    let mut b = Builder::new(84, 16, 8);
    let x = b.input(&[4], 0, 3).unwrap();
    let c = b.constant(&[4], vec![1, 2, 3, 4]).unwrap();
    let of = |keys: Vec<(i64, u32)>, form: Form| Table { keys, outs: vec![form] };
    let mut refused = |table: Table| text(b.table(table).unwrap_err()).1;
    let private = refused(of(vec![(0, 4)], whole(x, 1)));
    assert_eq!(private, "an out of a table must read const or ones tensors");
    assert!(refused(of(vec![], Form::default())).starts_with("a table needs a key axis"));
    assert!(refused(of(vec![(0, 0)], Form::default())).starts_with("a table needs a key axis"));
    assert_eq!(refused(of(vec![(0, 1 << 12), (0, 1 << 11)], Form::default())), "rows of a table");
    assert_eq!(refused(Table { keys: vec![(0, 1); 9], outs: vec![] }), "coordinates of a table");
    assert!(refused(of(vec![(0, 1)], view(c, vec![Map::Sum]))).ends_with("sum, mat or pool maps"));
    // The same table and the same constant are declared once; shifted reads work.
    let shifted = of(vec![(-1, 5)], view(c, vec![Map::Aff { axis: 0, step: 1, off: -1 }]));
    let first = b.table(shifted.clone()).unwrap();
    assert_eq!(b.table(shifted).unwrap(), first);
    assert_eq!(b.constant(&[4], vec![1, 2, 3, 4]).unwrap(), c);
    let form = Form(vec![(1, View { tensor: x, maps: vec![aff(0)] })]);
    let y = b.push(Operator::Table { axes: vec![4], table: first, keys: vec![form] }).unwrap()[0];
    assert_eq!(b.interval(y), Some((0, 4)));
    b.output(y);
    let program = b.finish(vec![]).unwrap();
    let given = Given::from([(0, vec![3, 2, 1, 0])]);
    assert_eq!(zerotell_program::run(&program, 1, &given, &Given::new()).unwrap(), [vec![4, 3, 2, 1]]);
}

#[test]
fn shapes() {
    let program = two_layers();
    let refused = |batch, inputs: Vec<InputMode>, reveals: Vec<Reveal>, slots: Vec<Vec<i64>>| {
        let disclosure = Disclosure { inputs, reveals };
        text(lower(&program, &Shape { batch, disclosure: &disclosure, slots: &slots }).unwrap_err())
    };
    let private = vec![InputMode::Private];
    assert_eq!(refused(0, private.clone(), vec![], vec![]), (Site::Shape, "batch size"));
    assert_eq!(refused(65537, private.clone(), vec![], vec![]), (Site::Shape, "batch size"));
    assert_eq!(refused(1, vec![], vec![], vec![]), (Site::Shape, "input modes"));
    assert_eq!(refused(1, vec![InputMode::Public], vec![], vec![]), (Site::Shape, "slots"));
    assert_eq!(refused(1, vec![InputMode::Public], vec![], vec![vec![0; 4]]), (Site::Slot(0), "slot values"));
    assert_eq!(refused(1, vec![InputMode::Public], vec![], vec![vec![8; 5]]), (Site::Slot(0), "slot value"));
    let values = vec![Reveal::Values { output: 1 }];
    assert_eq!(refused(1, private.clone(), values, vec![]).0, Site::Reveal(0));
    let label = vec![Reveal::Label { output: 0 }];
    assert_eq!(refused(1, private.clone(), label, vec![vec![3]]), (Site::Slot(0), "slot value"));
    let threshold = |index, bound| vec![Reveal::Threshold { output: 0, index, at_least: true, bound }];
    assert_eq!(refused(1, private.clone(), threshold(0, 64), vec![]), (Site::Reveal(0), "threshold"));
    assert_eq!(
        refused(1, private.clone(), threshold(3, 0), vec![]).1,
        "a threshold's index lies outside its output"
    );
    let many = vec![Reveal::Label { output: 0 }; 257];
    assert_eq!(refused(1, private, many, vec![]), (Site::Shape, "reveals"));
}

#[test]
fn execution() {
    let program = two_layers();
    let (inputs, model) = given(&program, 1, &mut Random(1));
    let disclosure = Disclosure { inputs: vec![InputMode::Private], reveals: vec![] };
    let lowered = lower(&program, &Shape { batch: 1, disclosure: &disclosure, slots: &[] }).unwrap();
    let fails = |inputs: &Given, model: &Given| execute(&lowered, inputs, model).err().unwrap();
    assert_eq!(fails(&Given::new(), &model), ExecuteError::Missing { tensor: 0 });
    assert_eq!(fails(&inputs, &Given::new()), ExecuteError::Missing { tensor: 1 });
    let more = |tensor, values| {
        let mut inputs = inputs.clone();
        inputs.insert(tensor, values);
        inputs
    };
    for tensor in [1, 5, 6, 14, 99] {
        assert_eq!(fails(&more(tensor, vec![]), &model), ExecuteError::Unexpected { tensor });
    }
    assert_eq!(fails(&more(0, vec![0; 4]), &model), ExecuteError::Length { tensor: 0, want: 5, got: 4 });
    let value = ExecuteError::Value { tensor: 0, index: 2, lo: -8, hi: 7 };
    assert_eq!(fails(&more(0, vec![0, 0, 8, 0, 0]), &model), value);
    let public = Disclosure { inputs: vec![InputMode::Public], reveals: vec![Reveal::Values { output: 0 }] };
    let slots = [inputs[&0].clone(), vec![-64; 3]];
    let lowered = lower(&program, &Shape { batch: 1, disclosure: &public, slots: &slots }).unwrap();
    let false_claim = execute(&lowered, &Given::new(), &model).err().unwrap();
    assert!(matches!(false_claim, ExecuteError::NotZero { site: Site::Reveal(0), position: 0 }));
    let other = execute(&lowered, &more(0, vec![0; 5]), &model).err().unwrap();
    assert_eq!(other, ExecuteError::SlotDiffers { tensor: 0 });
}

/// What would take long or much memory is refused before it is done.
#[test]
fn work() {
    let mut b = Builder::new(84, 16, 8);
    let x = b.input(&[0, 1 << 12], 0, 3).unwrap();
    let one = b.ones(&[]).unwrap();
    let y = b.push(Operator::Check { axes: vec![0, 1 << 12], form: whole(x, 2), bits: 2 }).unwrap();
    assert!(y.is_empty());
    b.output(x);
    let form = |terms: usize| Form(vec![(1, View { tensor: one, maps: vec![] }); terms]);
    let program = b.clone().finish(vec![]).unwrap();
    let keys = vec![(0, 1 << 20)];
    let mut other = program.clone();
    other.tables.push(Table { keys: keys.clone(), outs: vec![form(1)] });
    assert_eq!(text(validate(&other).unwrap_err()), (Site::Table(0), "a table is never used"));
    other.tables[0].outs = vec![form(64)];
    let long = (Site::Table(0), "values and terms of tables up to here");
    assert_eq!(text(validate(&other).unwrap_err()), long);
    // Outs without a term are values all the same, and seven of them eight times as many.
    other.tables[0].outs = vec![form(0); 7];
    assert_eq!(text(validate(&other).unwrap_err()), (Site::Table(0), "a table is never used"));
    other.tables.push(other.tables[0].clone());
    assert_eq!(text(validate(&other).unwrap_err()).1, long.1);
    let refused = |batch, reveals| {
        let disclosure = Disclosure { inputs: vec![InputMode::Private], reveals };
        text(lower(&program, &Shape { batch, disclosure: &disclosure, slots: &[] }).unwrap_err())
    };
    let labels = refused(1 << 14, vec![Reveal::Label { output: 0 }]);
    assert_eq!(labels, (Site::Shape, "label flags"));
    assert_eq!(refused(1 << 16, vec![]), (Site::Program, "entries with this batch size"));
    assert_eq!(refused(1 << 15, vec![]), (Site::Program, "lookups and table rows"));
}
