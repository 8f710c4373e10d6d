//! Risk: a pool that copies matrices, or that one bad matrix stops.

use std::sync::Arc;

use insula::rpc::wire::{decode, encode};
use insula::{CallError, block_on};
use science::matrices::{
    Generate, MatricesCaller, Matrix, MatrixError, Precision, Task, Values, start_matrix_pool,
};

#[test]
fn workers_give_the_results_of_the_kernels_and_copy_nothing() {
    let matrices: Vec<_> = (0..8)
        .map(|seed| Arc::new(Generate::Random(40).matrix(seed)))
        .collect();
    block_on(async {
        let pool = start_matrix_pool(3).await.unwrap();
        let caller: MatricesCaller = pool.caller();
        let calls: Vec<_> = matrices
            .iter()
            .map(|matrix| {
                let task = Task::SingularValues(Arc::clone(matrix));
                caller.solve(task, Precision::Standard)
            })
            .collect();
        for (matrix, call) in matrices.iter().zip(calls) {
            let found = call.await.unwrap().values;
            let alone = Task::SingularValues(Arc::clone(matrix));
            assert!(found == alone.solve(Precision::Standard).unwrap().values);
            assert!(matches!(found, Values::Real(values) if values.len() == 40));
        }
        let stats = pool.stats();
        assert_eq!((stats.submitted, stats.answered), (8, 8));
        assert_eq!(stats.traffic.bytes_copied, 0);
        // The requests are shared, so they count with their pointers; the answers with their lists.
        assert!(
            (8 * 320..8 * 1024).contains(&stats.traffic.bytes_moved),
            "{stats:?}"
        );
    });
}

#[test]
fn an_error_is_that_of_its_matrix_alone() {
    block_on(async {
        let pool = start_matrix_pool(1).await.unwrap();
        let caller: MatricesCaller = pool.caller();
        let invert = |rows| {
            let matrix = Arc::new(Generate::Hilbert(rows).matrix(0));
            caller.solve(Task::Invert(matrix), Precision::High)
        };
        let (bad, good) = (invert(20), invert(5));
        let bad = bad.await.unwrap_err();
        assert!(
            matches!(bad, CallError::App(MatrixError::Singular { .. })),
            "{bad}"
        );
        assert!(good.await.unwrap().residual.is_within_bound());
    });
}

#[test]
fn a_matrix_from_another_process_has_as_many_values_as_its_shape() {
    let matrix = Generate::Random(3).matrix(1);
    assert!(decode::<Matrix>(&encode(&matrix).unwrap()).unwrap() == matrix);
    for wrong in [(2_usize, 2_usize), (usize::MAX, 3), (0, 0)] {
        let bytes = encode(&(wrong.0, wrong.1, vec![1.0; 3])).unwrap();
        assert!(decode::<Matrix>(&bytes).is_err(), "{wrong:?}");
    }
}
