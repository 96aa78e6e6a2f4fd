//! How far sound and picture are apart, by a flash and a click that were made at one instant.

use std::error::Error;
use std::time::Duration;

use visavis_bench::{Page, sync};

/// Watches the page's video for so long; returns, for each flash, how much later its click comes out of the
/// browser, in ms. Flashes come a second apart.
///
/// # Errors
///
/// When the page has no video with sound.
pub fn click_after_flash_ms(page: &Page, watch: Duration) -> Result<Vec<f64>, Box<dyn Error>> {
    let onsets = sync::watch(page, watch)?;
    Ok(onsets.offsets(&onsets.composed))
}

/// The middle one; sorts the values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
