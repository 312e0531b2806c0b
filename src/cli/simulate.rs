//! `coinmill sim`: the market server on the command line.
//! The server itself is `sim`; here its options are read and its address is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::sim::{ClockSetting, Fault, Host, Market, Sim, SimOptions, SimPlan};

/// Which host the server simulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Plays {
    Keyless,
    Demo,
    Paid,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The clock moves by POST /sim/clock {\"set\": INSTANT, \"freeze\": BOOL, \"advance\": SECONDS}; GET /sim tells its state.

Faults, as KIND:OPTION=VALUE,…
  refusals       STATUS, html[:status=N], limit200, throttled, 1015,
                 redirect:[status=N,]to=URL, body:status=N,text=…
  delivery       stall, cut, truncate, drip, huge[:mb=N], bomb[:mb=N]
                 (500 MB, plain or in gzip)
  rows           shift, vanish:id=COIN, double:id=COIN (on this page too)
  fields         set:field=NAME,[id=COIN,]value=JSON, drop:field=NAME[,id=COIN]
  older figures  aged:seconds=N (as from a cache that says so),
                 back:seconds=N (as from one that does not)

All take times=N (0: always), after=N and path=PART (as in path=&page=2). STATUS, html, throttled and 1015 also take retry_after=SECONDS. The values of value, to and text may have commas in them, so they come last.")]
pub(super) struct SimArguments {
    /// The IP address to listen on; 0.0.0.0 or :: is all addresses, and whoever reaches it may also set its clock and its
    /// faults (/sim/...)
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 8480)]
    port: u16,
    /// The market's seed: the same seed and clock give the same responses
    #[arg(long, default_value_t = 1, conflicts_with = "recorded")]
    seed: u64,
    /// How many coins the market has
    #[arg(long, default_value_t = 1000, conflicts_with = "recorded")]
    market_size: usize,
    /// Serve a folder of recordings instead (markets/YYYY-MM-DD.json, chart/*.json with .meta.json)
    #[arg(long, value_name = "FOLDER")]
    recorded: Option<PathBuf>,
    /// Start the clock here instead of now; the recorded market starts at its first recording
    #[arg(long, value_name = "INSTANT")]
    clock: Option<DateTime<Utc>>,
    /// The clock stands still
    #[arg(long)]
    frozen: bool,
    /// The host that it simulates
    #[arg(long, value_enum, default_value = "keyless")]
    host: Plays,
    /// The API key that it accepts (demo and paid)
    #[arg(long, required_if_eq_any = [("host", "demo"), ("host", "paid")])]
    key: Option<String>,
    /// Respond with 429 above this many calls a minute
    #[arg(long)]
    calls_per_minute: Option<u32>,
    /// What goes wrong, such as 429:times=2,retry_after=1; may be given again
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<String>,
}

impl SimArguments {
    fn options(self) -> Result<SimOptions> {
        let faults: Vec<Fault> = self
            .faults
            .iter()
            .map(|fault| fault.parse())
            .collect::<Result<_>>()?;
        let clock = match self.clock {
            None if self.frozen => ClockSetting::Frozen(Utc::now()),
            None => ClockSetting::System,
            Some(at) if self.frozen => ClockSetting::Frozen(at),
            Some(at) => ClockSetting::StartingAt(at),
        };
        let host = match self.host {
            Plays::Keyless => Host::Keyless,
            Plays::Demo => Host::Demo,
            Plays::Paid => Host::Paid,
        };
        Ok(SimOptions {
            bind: SocketAddr::new(self.bind, self.port),
            market: match self.recorded {
                Some(folder) => Market::Recorded { folder },
                None => Market::Seeded {
                    seed: self.seed,
                    coins: self.market_size,
                },
            },
            clock,
            plan: SimPlan {
                host,
                key: self.key,
                calls_per_minute: self.calls_per_minute,
            },
            faults,
        })
    }
}

/// The object for scripts.
#[derive(Serialize)]
struct Address {
    url: String,
    control_url: String,
    listens_on: SocketAddr,
    #[serde(serialize_with = "crate::stamp::stamp")]
    now: DateTime<Utc>,
}

/// Serves until it is interrupted.
pub(super) async fn serve(arguments: SimArguments, json: bool) -> Result<u8> {
    let sim = Sim::start(arguments.options()?).await?;
    let address = Address {
        url: sim.url(),
        control_url: sim.control_url(),
        listens_on: sim.address(),
        now: sim.now(),
    };
    super::print(json, &address, || {
        let everywhere = if address.listens_on.ip().is_unspecified() {
            format!(
                "it listens on all addresses of this machine, port {}\n",
                address.listens_on.port()
            )
        } else {
            String::new()
        };
        format!(
            "coinmill sim at {url}, its clock at {now}\n\
             {everywhere}\
             in another terminal:\n\
             \x20 export COINMILL_API_URL={url} COINMILL_PLAN=unlimited COINMILL_CLOCK=sim\n\
             \x20 coinmill run snapshot",
            url = address.url,
            now = address.now.format("%Y-%m-%dT%H:%M:%SZ"),
        )
    })?;
    let Err(error) = sim.finished().await else {
        return Ok(super::COMPLETE);
    };
    // scripts have had their one object
    let error = Error::config("the simulated market ended").because(error);
    Ok(super::failure::told(
        &error,
        super::failure::code(&error),
        false,
    ))
}
