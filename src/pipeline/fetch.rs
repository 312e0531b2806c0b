//! What a snapshot run fetches: page after page, then coins by name, then once more what was refused.
//! Each body is taken in before the next request is chosen, since it says what is still missing.

use super::Observer;
use super::account::SecondLook;
use super::calls::Calls;
use super::intake::Intake;
use crate::coingecko;
use crate::error::Result;
use crate::http::Request;
use crate::store::SnapshotStore;

/// Fetches what is missing, as long as the slot lasts.
///
/// # Errors
/// What stopped it; all that came before is taken in.
pub(super) async fn fetch(
    intake: &mut Intake<'_>,
    calls: &mut Calls,
    store: &mut SnapshotStore,
    observer: &Observer<'_>,
) -> Result<()> {
    let vs_currency = &intake.terms.vs_currency;
    observer.show(intake.progress());
    while let Some(page) = intake.sweep.next() {
        take(intake, calls, store, &coingecko::page(vs_currency, page)).await?;
        observer.show(intake.progress());
    }
    for (request, _) in coingecko::by_ids(vs_currency, &intake.waiting()) {
        take(intake, calls, store, &request).await?;
        observer.show(intake.progress());
    }
    for request in second_requests(intake, calls, store).await? {
        take(intake, calls, store, &request).await?;
    }
    Ok(())
}

async fn take(
    intake: &mut Intake<'_>,
    calls: &mut Calls,
    store: &mut SnapshotStore,
    request: &Request,
) -> Result<()> {
    let (landed, body) = calls.fetch(store, request).await?;
    intake.take(landed, body.to_vec(), true)
}

/// Requests for what was refused: what is wrong in one response may be right in the next.
async fn second_requests(
    intake: &mut Intake<'_>,
    calls: &Calls,
    store: &mut SnapshotStore,
) -> Result<Vec<Request>> {
    let all = intake.received().second_look(&[]);
    if all == SecondLook::default() {
        return Ok(Vec::new());
    }
    let before = store.accounts_before(calls.slot).await?;
    let look = intake.received().second_look(&before);
    intake.hold_back(&all, &look);
    let vs_currency = &intake.terms.vs_currency;
    let pages = look.pages.iter();
    let pages = pages.filter_map(|number| intake.sweep.page(*number));
    let coins = coingecko::by_ids(vs_currency, &look.coins).into_iter();
    Ok(pages
        .map(|page| coingecko::page(vs_currency, page))
        .chain(coins.map(|(request, _)| request))
        .collect())
}
