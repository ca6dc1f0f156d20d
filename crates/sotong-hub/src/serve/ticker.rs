//! The page `/ticker`: a market that is made up, told to whoever follows it, and orders that people confirm.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::switchboard::Switchboard;
use crate::core::{AskOutcome, AskRefused, ChannelName, Market, Quote, SessionId};

/// How often the market moves.
const TICK: Duration = Duration::from_millis(100);
/// How long somebody has to confirm an order.
const TO_CONFIRM: Duration = Duration::from_secs(5);
/// How many are asked at a time: the last to come are not asked while more are here.
const ASKED_MAX: usize = 256;
/// How far a price may move, in percent, until an order that was confirmed cannot be had at its price any more.
const MOVED_PERCENT: i64 = 1;

/// The market, and who keeps it.
#[derive(Debug)]
pub(super) struct Ticker {
    switchboard: Arc<Switchboard>,
    market: Market,
    channels: Vec<(&'static str, String)>,
    ask_interval: Duration,
    orders_made: u64,
}

/// An order to confirm, as the page is asked.
#[derive(Clone, Debug, Serialize)]
struct Order {
    order: u64,
    symbol: &'static str,
    side: &'static str,
    quantity: u64,
    price: f64,
    seconds: u64,
    #[serde(skip)]
    cents: i64,
}

/// What became of an order, as the page is told.
#[derive(Clone, Debug, Serialize)]
struct OrderState {
    order: u64,
    state: &'static str,
}

/// What a page answers.
#[derive(Debug, Deserialize)]
struct Confirmation {
    accept: bool,
}

impl Ticker {
    /// Opens the market. Everybody who follows it is asked to confirm an order every `ask_interval`.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(super) fn new(switchboard: Arc<Switchboard>, ask_interval: Duration) -> io::Result<Ticker> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        let channels: Vec<_> = Market::symbols().map(|symbol| (symbol, format!("ticker:{symbol}"))).collect();
        for (_, channel) in &channels {
            switchboard.offer(ChannelName::new(channel).expect("a symbol makes a channel's name"));
        }
        let market = Market::new(u64::from_ne_bytes(seed));
        Ok(Ticker { switchboard, market, channels, ask_interval, orders_made: 0 })
    }

    /// Keeps the market going, for ever.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(TICK);
        // A server that was held up goes on from now.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_asks = Instant::now() + self.ask_interval;
        let mut asked = JoinSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.tick();
                    if next_asks <= Instant::now() {
                        next_asks = Instant::now() + self.ask_interval;
                        self.ask_everybody(&mut asked);
                    }
                }
                Some(answered) = asked.join_next() => {
                    if let Ok((session, order, outcome)) = answered {
                        self.settle(session, &order, outcome);
                    }
                }
            }
        }
    }

    /// Says what is new. Nobody hears it where nobody follows: then it costs a look at a map.
    fn tick(&mut self) {
        for quote in self.market.tick() {
            if let Some((_, channel)) = self.channels.iter().find(|(symbol, _)| *symbol == quote.symbol) {
                self.switchboard.publish(channel, &quote.price());
            }
        }
    }

    /// Asks everybody who follows the first of the symbols, and so the market as a whole.
    fn ask_everybody(&mut self, asked: &mut JoinSet<(SessionId, Order, Result<AskOutcome, AskRefused>)>) {
        let Some((_, channel)) = self.channels.first() else { return };
        for session in self.switchboard.members(channel) {
            if asked.len() >= ASKED_MAX {
                break;
            }
            let (order, switchboard) = (self.make_order(), self.switchboard.clone());
            asked.spawn(async move {
                let outcome = switchboard.ask(session, "confirm", &order, TO_CONFIRM).await;
                (session, order, outcome)
            });
        }
    }

    fn make_order(&mut self) -> Order {
        let Quote { symbol, cents, .. } = self.market.pick();
        self.orders_made += 1;
        Order {
            order: self.orders_made,
            symbol,
            side: if self.market.dice(2) == 0 { "buy" } else { "sell" },
            quantity: (self.market.dice(20) + 1) * 5,
            price: cents as f64 / 100.0,
            seconds: TO_CONFIRM.as_secs(),
            cents,
        }
    }

    /// Acts on what came of an ask, and tells the page. A late answer finds its order expired; the hub says so.
    fn settle(&self, session: SessionId, order: &Order, outcome: Result<AskOutcome, AskRefused>) {
        let state = match outcome {
            Ok(AskOutcome::Answer(answer)) => match serde_json::from_str(answer.as_str()) {
                Ok(Confirmation { accept: true }) if self.has_moved(order) => "moved",
                Ok(Confirmation { accept: true }) => "filled",
                Ok(Confirmation { accept: false }) => "declined",
                Err(_) => "misunderstood",
            },
            Ok(AskOutcome::Error { code, message }) => {
                tracing::debug!(%session, code, message, "a page could not confirm an order");
                "declined"
            }
            Ok(AskOutcome::TimedOut) => "expired",
            // Nobody to tell.
            Ok(AskOutcome::Gone) | Err(AskRefused::Gone) => return,
            Err(AskRefused::TooMany) => {
                return tracing::debug!(%session, "a page owes too many answers to be asked");
            }
        };
        self.switchboard.tell(session, &OrderState { order: order.order, state });
    }

    /// Whether the price has gone away since the order was made.
    fn has_moved(&self, order: &Order) -> bool {
        let now = self.market.quote(order.symbol).map_or(order.cents, |quote| quote.cents);
        (now - order.cents).abs() * 100 > order.cents * MOVED_PERCENT
    }
}
