//! Two isolates that await each other's answers.

use std::error::Error;

use insula::port::AskError;
use insula::{Isolate, ReceivePort, ReplyTo, SendPort, block_on, spawn_local};

use super::End;

// ANCHOR: problem
/// A question to the stock: whether there is a part for an order.
type Reserve = ReplyTo<bool>;

/// A question to the orders.
enum Order {
    /// Place an order, for which the stock has to reserve a part.
    Place(SendPort<Reserve>, ReplyTo<bool>),
    /// How many orders may be placed?
    Limit(ReplyTo<u32>),
}

async fn orders(mut questions: ReceivePort<Order>) {
    while let Some(question) = questions.recv().await {
        match question {
            Order::Place(stock, answer) => place(stock, answer).await,
            Order::Limit(answer) => answer.send(10),
        }
    }
}

async fn place(stock: SendPort<Reserve>, answer: ReplyTo<bool>) {
    let is_reserved = stock.ask(|answer| answer).await;
    answer.send(is_reserved == Ok(true));
}

async fn stock(mut questions: ReceivePort<Reserve>, orders: SendPort<Order>) {
    while let Some(answer) = questions.recv().await {
        // The stock is no larger than the number of orders that may be placed.
        let limit = orders.ask(Order::Limit).await;
        answer.send(limit.is_ok_and(|limit| limit > 0));
    }
}
// ANCHOR_END: problem

async fn repaired_orders(mut questions: ReceivePort<Order>) {
    while let Some(question) = questions.recv().await {
        match question {
            // ANCHOR: repair
            Order::Place(stock, answer) => spawn_local(place(stock, answer)),
            // ANCHOR_END: repair
            Order::Limit(answer) => answer.send(10),
        }
    }
}

/// Starts both isolates, and places an order.
pub(super) fn start(is_repaired: bool) -> Result<End, Box<dyn Error>> {
    let builder = Isolate::builder().name("orders");
    let (orders_isolate, orders) = match is_repaired {
        false => builder.spawn_pair(orders),
        true => builder.spawn_pair(repaired_orders),
    };
    let of_stock = orders.clone();
    let (stock_isolate, stock) = Isolate::builder()
        .name("stock")
        .spawn_pair(move |questions| stock(questions, of_stock));
    let placed = orders.ask(|answer| Order::Place(stock.clone(), answer));
    if is_repaired {
        let is_placed: Result<bool, AskError> = block_on(placed);
        assert!(is_placed?, "the order is placed");
    }
    Ok(Box::new(move || {
        for isolate in [orders_isolate, stock_isolate] {
            isolate.kill();
            block_on(isolate.exited());
        }
        // Until here, so that the isolates are not ended by the drop of their senders.
        drop((orders, stock));
    }))
}
