//! The logo as pixels: two rings of bricks around a centre where nothing is.

use std::f32::consts::TAU;

/// Brick colour.
const BRICK: [u8; 3] = [0xc2, 0x51, 0x2b];
/// Sub-samples per pixel and axis.
const SAMPLES: u16 = 4;

/// A PNG file of `size` by `size` pixels.
pub(crate) fn png(size: u16) -> Result<Vec<u8>, png::EncodingError> {
    let mut pixels = Vec::with_capacity(4 * usize::from(size) * usize::from(size));
    for row in 0..size {
        for column in 0..size {
            pixels.extend(BRICK);
            pixels.push(coverage(column, row, size));
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.into(), size.into());
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// An ICO file with one PNG of 32 by 32 pixels.
pub(crate) fn ico() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let image = png(32)?;
    // Header: reserved, type 1 (icon), one image. Entry: 32 x 32, no palette, one plane of 32 bits, length and offset.
    let mut file = vec![0, 0, 1, 0, 1, 0, 32, 32, 0, 0, 1, 0, 32, 0];
    file.extend(u32::try_from(image.len())?.to_le_bytes());
    file.extend(22_u32.to_le_bytes());
    file.extend(image);
    Ok(file)
}

/// How much of a pixel is brick, 0 to 255.
fn coverage(column: u16, row: u16, size: u16) -> u8 {
    let mut hits = 0_u16;
    for sample in 0..SAMPLES * SAMPLES {
        // To a square from -32 to 32, as in the SVG.
        let place = |pixel: u16, step: u16| {
            let position = f32::from(pixel) + (f32::from(step) + 0.5) / f32::from(SAMPLES);
            position / f32::from(size) * 64.0 - 32.0
        };
        hits += u16::from(is_brick(place(column, sample % SAMPLES), place(row, sample / SAMPLES)));
    }
    u8::try_from(hits * 255 / (SAMPLES * SAMPLES)).unwrap_or(u8::MAX)
}

/// The same shape as `site/logo.svg`: (radius, half width, bricks, turn) of each ring.
fn is_brick(x: f32, y: f32) -> bool {
    const GAP: f32 = 2.6;
    [(27.0, 4.0, 8.0, 0.0), (16.5, 4.0, 8.0, 0.5)].iter().any(
        |&(radius, half_width, bricks, turn): &(f32, f32, f32, f32)| {
            let along = (y.atan2(x) / TAU * bricks + turn).rem_euclid(1.0) * TAU * radius / bricks;
            (x.hypot(y) - radius).abs() <= half_width && along >= GAP
        },
    )
}
