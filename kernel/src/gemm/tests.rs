use half::f16;

use super::*;

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    (0..n)
        .map(|i| {
            (((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed * 97)) >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn naive(a: &MatRef, b: &MatRef, i: usize, j: usize) -> f64 {
    (0..a.cols).map(|k| a.get(i, k) as f64 * b.get(k, j) as f64).sum()
}

/// All operand layouts and odd sizes against the definition.
#[test]
fn agrees_with_the_definition() {
    let sizes = [
        (1, 1, 1),
        (3, 33, 5),
        (14, 32, 16),
        (15, 65, 17),
        (29, 100, 130),
        (20, 270, 66),
        (16, 300, 1024),
        (64, 48, 1100),
        (5, 7, 2100),
        (7, 8, 130),
    ];
    for (m, n, k) in sizes {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let (a2, b2) = (numbers(m * 9, 3), numbers(9 * n, 4));
        let b_bf16: Vec<bf16> = b.iter().map(|x| bf16::from_f32(*x)).collect();
        let b_f16: Vec<f16> = b.iter().map(|x| f16::from_f32(*x)).collect();
        for a_t in [false, true] {
            for b_t in [false, true] {
                for kind in 0..3 {
                    for (accumulate, with_extra, half) in [
                        (false, false, false),
                        (true, false, false),
                        (true, true, false),
                        (false, true, true),
                        (true, false, true),
                    ] {
                        let av = if a_t { MatRef::f32(&a, k, m).t() } else { MatRef::f32(&a, m, k) };
                        let elements = match kind {
                            0 => Elements::F32(&b),
                            1 => Elements::Bf16(&b_bf16),
                            _ => Elements::F16(&b_f16),
                        };
                        let bv = if b_t {
                            MatRef::new(elements, n, k, k).t()
                        } else {
                            MatRef::new(elements, k, n, n)
                        };
                        let extra = with_extra.then(|| (MatRef::f32(&a2, m, 9), MatRef::f32(&b2, 9, n)));
                        let before = numbers(m * n, 5);
                        let mut c = before.clone();
                        gemm(MatMut::f32(&mut c, m, n), av, bv, Options { accumulate, extra, bf16: half });
                        for i in 0..m {
                            for j in 0..n {
                                let mut want = naive(&av, &bv, i, j);
                                if let Some((a2, b2)) = &extra {
                                    want += naive(a2, b2, i, j);
                                }
                                if accumulate {
                                    want += before[i * n + j] as f64;
                                }
                                let tolerance =
                                    if half { 0.02 * (k as f64).sqrt() } else { 1e-5 * (k as f64).sqrt() };
                                let got = c[i * n + j] as f64;
                                assert!(
                                    (got - want).abs() < tolerance * (1.0 + 0.1 * want.abs()) + 1e-6,
                                    "{m}x{n}x{k} a_t={a_t} b_t={b_t} kind={kind} acc={accumulate} extra={with_extra} bf16={half} ({i},{j}): {got} != {want}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Each way of multiplying bf16 that this processor has, whatever [`gemm`] would choose: sums of products of
/// rounded factors, whole and cut-off tiles, A as it lies and packed.
#[cfg(target_arch = "x86_64")]
#[test]
fn bf16_kernels_agree_with_the_definition() {
    use avx512::Arithmetic::{Pairs, Tiles};
    let has = [(Pairs, avx512::bf16_available()), (Tiles, avx512::amx::available())];
    let sizes = [
        (32, 32, 64),
        (16, 64, 32),
        (31, 33, 35),
        (5, 16, 9),
        (70, 100, 300),
        (48, 17, 1100),
        (33, 40, 4200),
    ];
    for (arithmetic, _) in has.into_iter().filter(|(_, has)| *has) {
        for (m, n, k) in sizes {
            let round = |x: Vec<f32>| x.into_iter().map(bf16::from_f32).collect::<Vec<_>>();
            let (a, b) = (round(numbers(m * k, 1)), round(numbers(k * n, 2)));
            let (a2, b2) = (round(numbers(m * 9, 3)), round(numbers(9 * n, 4)));
            let wide: Vec<f32> = a.iter().map(|x| x.to_f32()).collect();
            for a in [Elements::Bf16(&a), Elements::F32(&wide)] {
                let (a, b) = (MatRef::new(a, m, k, k), MatRef::new(Elements::Bf16(&b), n, k, k).t());
                let extra =
                    (MatRef::new(Elements::Bf16(&a2), m, 9, 9), MatRef::new(Elements::Bf16(&b2), 9, n, n));
                for (accumulate, extra) in [(false, None), (true, Some(extra))] {
                    let mut c = vec![0.5; m * n];
                    let options = Options { accumulate, extra, bf16: true };
                    // SAFETY: the processor has it.
                    unsafe { avx512::run_with(arithmetic, MatMut::f32(&mut c, m, n), a, b, options) };
                    for (index, got) in c.iter().enumerate() {
                        let (i, j) = (index / n, index % n);
                        let more = extra.map_or(0.0, |(a2, b2)| naive(&a2, &b2, i, j));
                        let want = naive(&a, &b, i, j) + more + if accumulate { 0.5 } else { 0.0 };
                        assert!(
                            (*got as f64 - want).abs() < 1e-5 * (k as f64),
                            "{arithmetic:?} {m}x{n}x{k} accumulate={accumulate} ({i},{j}): {got} != {want}"
                        );
                    }
                }
            }
        }
    }
}

/// Products of split f32 against f64, in all layouts and with factors of very different sizes: they err no more
/// than vectors of f32 do.
#[cfg(target_arch = "x86_64")]
#[test]
fn split_products_are_as_exact_as_f32() {
    use avx512::Arithmetic::{Single, SplitTiles};
    if !avx512::amx::available() {
        return;
    }
    let wide = |n: usize, seed: u32| -> Vec<f32> {
        let exponents = numbers(n, seed + 50).into_iter().map(|x| (12.0 * x).exp2());
        numbers(n, seed).into_iter().zip(exponents).map(|(x, scale)| x * scale).collect()
    };
    // The last is the depth of the second product.
    let sizes = [
        (40, 32, 32, 8),
        (32, 64, 64, 9),
        (16, 33, 7, 1),
        (1, 1, 1, 2),
        (33, 40, 100, 16),
        (100, 70, 500, 31),
        (130, 17, 1200, 70),
        (1700, 20, 390, 3),
    ];
    for (m, n, k, short) in sizes {
        let (a, b) = (wide(m * k, 1), wide(k * n, 2));
        let (a2, b2) = (wide(m * short, 3), wide(short * n, 4));
        for (a_t, b_t, accumulate) in
            [(false, true, false), (true, false, true), (false, false, true), (false, true, true)]
        {
            let a = if a_t { MatRef::f32(&a, k, m).t() } else { MatRef::f32(&a, m, k) };
            let b = if b_t { MatRef::f32(&b, n, k).t() } else { MatRef::f32(&b, k, n) };
            let a2 = if a_t { MatRef::f32(&a2, short, m).t() } else { MatRef::f32(&a2, m, short) };
            let b2 = if b_t { MatRef::f32(&b2, n, short).t() } else { MatRef::f32(&b2, short, n) };
            let extra = accumulate.then_some((a2, b2));
            let options = Options { accumulate, extra, bf16: false };
            // The largest error, against the size of what is summed.
            let worst = |arithmetic| {
                let mut c = vec![0.5; m * n];
                // SAFETY: the processor has it.
                unsafe { avx512::run_with(arithmetic, MatMut::f32(&mut c, m, n), a, b, options) };
                let errors = c.iter().enumerate().map(|(index, got)| {
                    let (i, j) = (index / n, index % n);
                    let terms = |a: &MatRef, b: &MatRef| -> (f64, f64) {
                        let terms = (0..a.cols).map(|k| a.get(i, k) as f64 * b.get(k, j) as f64);
                        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
                    };
                    let (mut want, mut size) = terms(&a, &b);
                    if let Some((a2, b2)) = &extra {
                        let (more, more_size) = terms(a2, b2);
                        (want, size) = (want + more + 0.5, size + more_size + 0.5);
                    }
                    (*got as f64 - want).abs() / size
                });
                errors.fold(0.0, f64::max)
            };
            let (split, single) = (worst(SplitTiles), worst(Single));
            assert!(
                split <= 2.0 * single + f64::from(f32::EPSILON),
                "{m}x{n}x{k}+{short} a_t={a_t} b_t={b_t} accumulate={accumulate}: {split:e}, in vectors {single:e}"
            );
        }
    }
}

#[test]
fn parts_of_a_shared_matrix_multiply_like_any_other() {
    for (m, n, k) in [(28, 100, 48), (5, 70, 130), (33, 40, 2200), (14, 16, 40)] {
        let b = numbers(k * n, 2);
        for (b_t, bf16, accumulate) in
            [(false, false, true), (true, false, false), (false, true, false), (true, true, true)]
        {
            let b = if b_t { MatRef::f32(&b, n, k).t() } else { MatRef::f32(&b, k, n) };
            let mut area = vec![f32::NAN; Shared::area(k, n)];
            let packed = Shared::pack(b, bf16, &mut area);
            for (row, rows, col, cols) in [(0, k, 0, n), (32, 7, 0, 9), (0, k - 1, n / 32 * 32, n % 32)] {
                let a = numbers(m * rows, 1);
                let a = MatRef::f32(&a, m, rows);
                let b = b.row_range(row, rows).col_range(col, cols);
                let product = |shared: Shared| {
                    let mut c = numbers(m * cols, 5);
                    gemm_shared(MatMut::f32(&mut c, m, cols), a, shared, accumulate);
                    c
                };
                let got = product(packed.row_range(row, rows).col_range(col, cols));
                let want = product(Shared::plain(b, bf16));
                for (i, (got, want)) in got.iter().zip(want).enumerate() {
                    assert!(
                        (got - want).abs() < 1e-5 * (rows as f32).sqrt() * (1.0 + 0.1 * want.abs()),
                        "{m}x{n}x{k} b_t={b_t} bf16={bf16} part {row}+{rows}, {col}+{cols}: {i}: {got} != {want}"
                    );
                }
            }
        }
    }
}

/// A sequence that is generated among others has the products that it has alone, bit for bit.
#[test]
fn a_few_rows_do_not_depend_on_each_other() {
    for (n, k) in [(70, 130), (33, 16), (300, 577)] {
        let (a, b, a2, b2) = (numbers(8 * k, 1), numbers(n * k, 2), numbers(8 * 9, 3), numbers(n * 9, 4));
        let b_bf16: Vec<bf16> = b.iter().map(|x| bf16::from_f32(*x)).collect();
        for b in [Elements::F32(&b), Elements::Bf16(&b_bf16)] {
            let product = |first: usize, rows: usize| {
                let mut c = vec![0.0; rows * n];
                let extra = (MatRef::f32(&a2[first * 9..], rows, 9), MatRef::f32(&b2, n, 9).t());
                let options = Options { extra: Some(extra), ..Options::default() };
                let a = MatRef::f32(&a[first * k..], rows, k);
                gemm(MatMut::f32(&mut c, rows, n), a, MatRef::new(b, n, k, k).t(), options);
                c
            };
            let alone: Vec<f32> = (0..8).flat_map(|row| product(row, 1)).collect();
            for rows in 2..=8 {
                assert!(product(0, rows) == alone[..rows * n], "{rows}x{n}x{k}");
            }
        }
    }
}

/// Bit for bit the same, however many threads share a product.
#[cfg(target_arch = "x86_64")]
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    if !avx512::available() {
        return;
    }
    for (m, n, k) in [(130, 200, 410), (1000, 170, 800), (40, 130, 96)] {
        let (a, b, a2, b2) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * 9, 3), numbers(9 * n, 4));
        let product = |threads: usize| {
            let mut c = numbers(m * n, 5);
            let extra = Some((MatRef::f32(&a2, m, 9), MatRef::f32(&b2, 9, n)));
            let options = Options { accumulate: true, extra, bf16: false };
            let (a, b) = (MatRef::f32(&a, m, k), MatRef::f32(&b, n, k).t());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| gemm(MatMut::f32(&mut c, m, n), a, b, options));
            c
        };
        assert!(product(1) == product(3), "{m}x{n}x{k}");
    }
}

/// What is not a number, or not finite, does not come out as one that is.
#[cfg(target_arch = "x86_64")]
#[test]
fn split_products_keep_what_is_not_finite() {
    if !avx512::amx::available() {
        return;
    }
    for bad in [f32::NAN, -f32::NAN, f32::from_bits(0x7fff_ffff), f32::INFINITY, f32::NEG_INFINITY] {
        for row in [0, 39] {
            let (mut a, b) = (numbers(40 * 32, 1), numbers(32 * 32, 2));
            a[row * 32 + 3] = bad;
            let mut c = vec![0.0; 40 * 32];
            // SAFETY: the processor has it.
            unsafe {
                let (a, b) = (MatRef::f32(&a, 40, 32), MatRef::f32(&b, 32, 32));
                let c = MatMut::f32(&mut c, 40, 32);
                avx512::run_with(avx512::Arithmetic::SplitTiles, c, a, b, Options::default());
            }
            for (i, x) in c.iter().enumerate() {
                assert_eq!(x.is_finite(), i / 32 != row, "{bad} in row {row}: element {i} is {x}");
            }
        }
    }
}

#[test]
fn portable_agrees_with_the_definition() {
    let (m, n, k) = (9, 300, 37);
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let b_bf16: Vec<bf16> = b.iter().map(|x| bf16::from_f32(*x)).collect();
    for elements in [Elements::F32(&b), Elements::Bf16(&b_bf16)] {
        let (av, bv) = (MatRef::f32(&a, m, k), MatRef::new(elements, n, k, k).t());
        let mut c = vec![1.0; m * n];
        portable::run(MatMut::f32(&mut c, m, n), av, bv, Options { accumulate: true, ..Options::default() });
        for i in 0..m {
            for j in 0..n {
                assert!((c[i * n + j] as f64 - 1.0 - naive(&av, &bv, i, j)).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn writes_only_its_columns() {
    let (a, b) = (numbers(20 * 8, 1), numbers(8 * 40, 2));
    let mut c = vec![7.0; 20 * 100];
    gemm(
        MatMut::columns(&mut c, 20, 100, 30, 40),
        MatRef::f32(&a, 20, 8),
        MatRef::f32(&b, 8, 40),
        Options::default(),
    );
    for (i, x) in c.iter().enumerate() {
        assert_eq!(*x == 7.0, !(30..70).contains(&(i % 100)), "element {i}");
    }
}
