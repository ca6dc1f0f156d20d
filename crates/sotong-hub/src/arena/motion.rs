//! How bodies move: thrust, drag, walls, bumps. In whole numbers, so that it is the same everywhere.
//!
//! Lengths are counted in sixteenths of a unit, speeds in sixteenths of a unit per tick.

use super::player::Direction;

/// How many steps a unit of length has.
pub const UNIT: i32 = 16;
/// How wide the arena is.
pub const WIDTH: i32 = 1000 * UNIT;
/// How high it is.
pub const HEIGHT: i32 = 640 * UNIT;
/// The radius of a player.
pub const PLAYER_RADIUS: i32 = 22 * UNIT;

/// How much faster a player gets in one tick.
const THRUST: i32 = 56;
/// Of its speed this much is left after a tick, in sixteenths.
const GLIDE: i32 = 13;
/// The greatest speed.
pub(super) const SPEED_MAX: i32 = 15 * UNIT;
/// Across, a thrust is this many 256ths in each direction: one over the square root of two.
const ACROSS: i32 = 181;

/// A point, or a speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vector {
    pub(super) x: i32,
    pub(super) y: i32,
}

impl Vector {
    /// Its length, squared.
    pub(super) fn square(self) -> i32 {
        self.x * self.x + self.y * self.y
    }

    /// The way from here to another.
    pub(super) fn to(self, other: Vector) -> Vector {
        Vector { x: other.x - self.x, y: other.y - self.y }
    }

    /// The part `by` of `of`.
    fn part(self, by: i32, of: i32) -> Vector {
        Vector { x: self.x * by / of, y: self.y * by / of }
    }

    fn plus(self, other: Vector) -> Vector {
        Vector { x: self.x + other.x, y: self.y + other.y }
    }

    fn length(self) -> i32 {
        self.square().isqrt()
    }
}

/// Something round that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) at: Vector,
    pub(super) speed: Vector,
}

impl Body {
    pub(super) fn resting(at: Vector) -> Body {
        Body { at, speed: Vector::default() }
    }

    /// One tick with the thrust that a player holds.
    pub(super) fn advance(&mut self, direction: Direction) {
        let thrust = Vector { x: direction.x * THRUST, y: direction.y * THRUST };
        let is_across = direction.x != 0 && direction.y != 0;
        let thrust = if is_across { thrust.part(ACROSS, 256) } else { thrust };
        // Rounded towards nothing: who lets go comes to rest.
        let mut speed = self.speed.plus(thrust).part(GLIDE, 16);
        let fast = speed.length();
        if fast > SPEED_MAX {
            speed = speed.part(SPEED_MAX, fast);
        }
        self.speed = speed;
        self.at = self.at.plus(speed);
        self.keep_inside();
    }

    /// A wall throws back, with half the speed.
    pub(super) fn keep_inside(&mut self) {
        let bounce = |at: &mut i32, speed: &mut i32, end: i32| {
            let inside = (*at).clamp(PLAYER_RADIUS, end - PLAYER_RADIUS);
            if inside != *at {
                *at = inside;
                *speed = -*speed / 2;
            }
        };
        bounce(&mut self.at.x, &mut self.speed.x, WIDTH);
        bounce(&mut self.at.y, &mut self.speed.y, HEIGHT);
    }
}

/// Two players who touch are pushed apart; if they came towards each other, they exchange their speeds.
pub(super) fn bump(one: &mut Body, other: &mut Body) {
    let between = one.at.to(other.at);
    let apart = between.length();
    let overlap = 2 * PLAYER_RADIUS - apart;
    if overlap <= 0 {
        return;
    }
    // In the very same place any way out is as good.
    let (between, apart) = if apart == 0 { (Vector { x: 1, y: 0 }, 1) } else { (between, apart) };
    let push = between.part((overlap + 1) / 2, apart);
    one.at = push.to(one.at);
    other.at = other.at.plus(push);
    let towards = one.speed.to(other.speed);
    if towards.x * between.x + towards.y * between.y < 0 {
        std::mem::swap(&mut one.speed, &mut other.speed);
    }
    one.keep_inside();
    other.keep_inside();
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: Vector = Vector { x: WIDTH / 2, y: HEIGHT / 2 };

    fn held(bits: u8) -> Direction {
        Direction::from_bits(bits).unwrap()
    }

    #[test]
    fn no_direction_is_faster_than_the_greatest_speed() {
        for bits in 0..16 {
            let mut body = Body::resting(MIDDLE);
            for _ in 0..20 {
                body.advance(held(bits));
                assert!(body.speed.square() <= SPEED_MAX * SPEED_MAX, "{bits}: {body:?}");
            }
            let moves = held(bits) != Direction::default();
            assert_eq!(
                body.speed.square() > (SPEED_MAX * 3 / 4) * (SPEED_MAX * 3 / 4),
                moves,
                "{bits}: {body:?}"
            );
        }
    }

    #[test]
    fn who_lets_go_comes_to_rest() {
        let mut body = Body { at: MIDDLE, speed: Vector { x: SPEED_MAX, y: -SPEED_MAX } };
        for _ in 0..40 {
            body.advance(Direction::default());
        }
        assert_eq!(body.speed, Vector::default());
    }

    #[test]
    fn walls_hold_in_every_corner() {
        for bits in [5, 6, 9, 10, 1, 2, 4, 8] {
            let mut body = Body::resting(MIDDLE);
            for _ in 0..300 {
                body.advance(held(bits));
                assert!((PLAYER_RADIUS..=WIDTH - PLAYER_RADIUS).contains(&body.at.x), "{body:?}");
                assert!((PLAYER_RADIUS..=HEIGHT - PLAYER_RADIUS).contains(&body.at.y), "{body:?}");
            }
        }
    }

    #[test]
    fn a_bump_parts_two_and_exchanges_their_speeds() {
        let mut one = Body { at: MIDDLE, speed: Vector { x: 200, y: 0 } };
        let mut other = Body::resting(Vector { x: MIDDLE.x + 2 * PLAYER_RADIUS - 10, y: MIDDLE.y });
        bump(&mut one, &mut other);
        assert_eq!((one.speed.x, other.speed.x), (0, 200));
        assert!(one.at.to(other.at).length() >= 2 * PLAYER_RADIUS, "{one:?} {other:?}");
        let before = (one, other);
        bump(&mut one, &mut other);
        assert_eq!((one, other), before, "they do not touch any more");
    }

    #[test]
    fn two_in_the_same_place_get_out_of_it() {
        let (mut one, mut other) = (Body::resting(MIDDLE), Body::resting(MIDDLE));
        bump(&mut one, &mut other);
        assert!(one.at.to(other.at).length() >= 2 * PLAYER_RADIUS, "{one:?} {other:?}");
    }
}
