//! A market that is made up: a dozen prices that walk at random, calm for a while, then in a storm.
//!
//! Pure: the same seed gives the same prices. Money is counted in cents.

use serde::Serialize;

use crate::dice::Dice;

/// The symbols, and where their prices begin, in cents. The companies do not exist.
const LISTED: [(&str, i64); 12] = [
    ("BADA", 18_250),
    ("BYEOL", 4_310),
    ("DURI", 9_975),
    ("GAON", 27_140),
    ("HANEUL", 61_300),
    ("MARU", 12_080),
    ("MIR", 33_565),
    ("NARAE", 7_420),
    ("ONSAE", 2_190),
    ("SAEM", 15_660),
    ("SOL", 48_925),
    ("TEO", 5_845),
];

/// In how many steps of a price's walk a hundredth of a percent is counted.
const BASIS_POINTS: i64 = 10_000;
/// How far a price may go from where it began, as a factor.
const FARTHEST: i64 = 4;

/// The weather: how many ticks it lasts (least, and how many more at most), how far a price goes in one step (in basis
/// points), and how many of ten prices move in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Calm,
    Storm,
}

impl Weather {
    fn ticks(self) -> (u64, u64) {
        match self {
            Weather::Calm => (200, 250),
            Weather::Storm => (60, 90),
        }
    }

    fn step(self) -> i64 {
        match self {
            Weather::Calm => 6,
            Weather::Storm => 45,
        }
    }

    fn movers_of_ten(self) -> u64 {
        match self {
            Weather::Calm => 4,
            Weather::Storm => 8,
        }
    }
}

/// What a symbol costs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its name.
    pub symbol: &'static str,
    /// The price.
    pub cents: i64,
    /// What it was in the beginning.
    pub open_cents: i64,
}

/// A quote as pages get it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Price {
    /// In units, with two decimals.
    pub price: f64,
    /// Since the beginning, in percent, with two decimals.
    pub change: f64,
}

impl Quote {
    /// The quote as pages get it.
    pub fn price(&self) -> Price {
        let change = (self.cents - self.open_cents) * BASIS_POINTS / self.open_cents;
        Price { price: self.cents as f64 / 100.0, change: change as f64 / 100.0 }
    }
}

/// The market.
///
/// ```
/// use sotong_hub::core::Market;
///
/// let (mut one, mut other) = (Market::new(7), Market::new(7));
/// for _ in 0..100 {
///     assert_eq!(one.tick(), other.tick());
/// }
/// assert!(Market::symbols().any(|symbol| one.quote(symbol) != Market::new(7).quote(symbol)));
/// ```
#[derive(Clone, Debug)]
pub struct Market {
    dice: Dice,
    weather: Weather,
    /// When it changes, in ticks.
    weather_left: u64,
    quotes: [Quote; LISTED.len()],
}

impl Market {
    /// A market that opens calm. Any seed will do.
    pub fn new(seed: u64) -> Market {
        let quotes = LISTED.map(|(symbol, cents)| Quote { symbol, cents, open_cents: cents });
        Market {
            dice: Dice::new(seed),
            weather: Weather::Calm,
            weather_left: Weather::Calm.ticks().0,
            quotes,
        }
    }

    /// What is traded, in the order of the alphabet.
    pub fn symbols() -> impl ExactSizeIterator<Item = &'static str> {
        LISTED.iter().map(|(symbol, _)| *symbol)
    }

    /// Lets a moment go by; ten of them are meant to be a second. Returns the quotes that are new.
    pub fn tick(&mut self) -> Vec<Quote> {
        self.weather_left = self.weather_left.saturating_sub(1);
        if self.weather_left == 0 {
            self.weather = match self.weather {
                Weather::Calm => Weather::Storm,
                Weather::Storm => Weather::Calm,
            };
            let (least, more) = self.weather.ticks();
            self.weather_left = least + self.dice.below(more);
        }
        let Market { dice, weather, quotes, .. } = self;
        let movers = quotes.iter_mut().filter_map(|quote| {
            let moves = dice.below(10) < weather.movers_of_ten();
            let before = quote.cents;
            if moves {
                quote.cents = walk(quote, weather.step(), dice);
            }
            (quote.cents != before).then_some(*quote)
        });
        movers.collect()
    }

    /// What a symbol costs now.
    pub fn quote(&self, symbol: &str) -> Option<Quote> {
        self.quotes.iter().find(|quote| quote.symbol == symbol).copied()
    }

    /// Any quote.
    pub fn pick(&mut self) -> Quote {
        let at = self.dice.below(LISTED.len() as u64) as usize;
        self.quotes[at]
    }

    /// A number below `bound`, for whoever makes something up about this market.
    pub fn dice(&mut self, bound: u64) -> u64 {
        self.dice.below(bound)
    }
}

/// One step: up or down, small ones more often, with a breath of wind towards where it began.
fn walk(quote: &Quote, step: i64, dice: &mut Dice) -> i64 {
    let throw = |dice: &mut Dice| i64::try_from(dice.below(2 * step as u64 + 1)).unwrap_or(0) - step;
    let thrown = (throw(dice) + throw(dice)) / 2;
    let homewards = (quote.open_cents - quote.cents) * 8 / quote.open_cents;
    let moved = quote.cents * (thrown + homewards) / BASIS_POINTS;
    // A cheap one would never move by whole cents otherwise.
    let moved = if moved == 0 { thrown.signum() } else { moved };
    (quote.cents + moved).clamp(quote.open_cents / FARTHEST, quote.open_cents * FARTHEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_stay_positive_and_within_bounds_in_any_weather() {
        for seed in 0..20 {
            let mut market = Market::new(seed);
            for _ in 0..20_000 {
                market.tick();
            }
            for quote in market.quotes {
                let bounds = quote.open_cents / FARTHEST..=quote.open_cents * FARTHEST;
                assert!(quote.cents > 0 && bounds.contains(&quote.cents), "seed {seed}: {quote:?}");
            }
        }
    }

    #[test]
    fn every_symbol_moves_several_times_a_second() {
        let mut market = Market::new(1);
        let mut moves = std::collections::BTreeMap::new();
        for _ in 0..600 {
            for quote in market.tick() {
                *moves.entry(quote.symbol).or_insert(0) += 1;
            }
        }
        assert_eq!(moves.len(), LISTED.len());
        assert!(moves.values().all(|&count| count >= 120), "in a minute, that is twice a second: {moves:?}");
    }

    #[test]
    fn there_is_calm_and_there_is_storm() {
        let mut market = Market::new(3);
        let mut seen = [0, 0];
        for _ in 0..5_000 {
            market.tick();
            seen[usize::from(market.weather == Weather::Storm)] += 1;
        }
        assert!(seen.iter().all(|&ticks| ticks > 500), "{seen:?}");
    }

    #[test]
    fn prices_are_told_with_two_decimals() {
        let quote = Quote { symbol: "MARU", cents: 12_345, open_cents: 12_000 };
        assert_eq!(serde_json::to_string(&quote.price()).unwrap(), r#"{"price":123.45,"change":2.87}"#);
        assert!(Market::symbols().is_sorted());
    }
}
