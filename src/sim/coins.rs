//! The real coins of the seeded market: ids, symbols, names and magnitudes, from general knowledge and rounded by hand.
//! No history and no behaviour: `universe` makes coins of these rows, `price` makes them move.

/// How a coin's price behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It grows over the years and swings less than the rest.
    Major,
    /// It swings freely.
    Free,
    /// It stays close to its price.
    Stable,
    /// It follows another coin, at the ratio of their prices.
    Follows(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct RealCoin {
    /// The id, the only key.
    pub id: &'static str,
    /// The symbol, which others may share.
    pub symbol: &'static str,
    /// The name.
    pub name: &'static str,
    /// The price in US dollars at the market's reference instant.
    pub price: f64,
    /// The circulating supply then.
    pub supply: f64,
    /// The most that there can ever be; 0 where that is not known.
    pub max_supply: f64,
    /// The year of its first price.
    pub since: i32,
    /// How it moves.
    pub kind: Kind,
}

// A macro in braces keeps one coin a line, which a call for each would not.
macro_rules! table {
    ($($id:literal $symbol:literal $name:literal $price:literal $supply:literal $max:literal $since:literal $kind:expr;)*) => {
        &[$(RealCoin {
            id: $id, symbol: $symbol, name: $name, price: $price, supply: $supply, max_supply: $max, since: $since, kind: $kind,
        }),*]
    };
}

use Kind::{Follows, Free, Major, Stable};

/// The coins, roughly by market capitalisation; the awkward ones come last.
pub const COINS: &[RealCoin] = table! {
    "bitcoin" "btc" "Bitcoin" 88000.0 19970000.0 21000000.0 2013 Major;
    "ethereum" "eth" "Ethereum" 2980.0 120690000.25 0.0 2015 Major;
    "tether" "usdt" "Tether" 0.9996 186400000000.0 0.0 2015 Stable;
    "binancecoin" "bnb" "BNB" 860.0 137730000.5 200000000.0 2017 Major;
    "ripple" "xrp" "XRP" 1.86 60600000000.0 100000000000.0 2013 Free;
    "usd-coin" "usdc" "USDC" 0.9998 75600000000.0 0.0 2018 Stable;
    "solana" "sol" "Solana" 125.0 562400000.75 0.0 2020 Free;
    "tron" "trx" "TRON" 0.284 94700000000.0 0.0 2017 Free;
    "staked-ether" "steth" "Lido Staked Ether" 2978.0 8690000.5 0.0 2020 Follows("ethereum");
    "dogecoin" "doge" "Dogecoin" 0.1235 152600000000.0 0.0 2013 Free;
    "cardano" "ada" "Cardano" 0.352 36600000000.0 45000000000.0 2017 Free;
    "whitebit" "wbt" "WhiteBIT Coin" 56.5 213900000.0 400000000.0 2022 Free;
    "wrapped-steth" "wsteth" "Wrapped stETH" 3640.0 3420000.2 0.0 2021 Follows("ethereum");
    "wrapped-bitcoin" "wbtc" "Wrapped Bitcoin" 87800.0 125600.3 0.0 2019 Follows("bitcoin");
    "bitcoin-cash" "bch" "Bitcoin Cash" 605.0 19970000.0 21000000.0 2017 Free;
    "usds" "usds" "USDS" 0.9997 9700000000.0 0.0 2024 Stable;
    "chainlink" "link" "Chainlink" 12.4 708000000.0 1000000000.0 2017 Free;
    "leo-token" "leo" "LEO Token" 8.6 921600000.0 0.0 2019 Free;
    "monero" "xmr" "Monero" 435.0 18446744.07 0.0 2014 Free;
    "wrapped-eeth" "weeth" "Wrapped eETH" 3220.0 2260000.1 0.0 2023 Follows("ethereum");
    "stellar" "xlm" "Stellar" 0.207 32400000000.0 50001806812.0 2014 Free;
    "zcash" "zec" "Zcash" 510.0 16480000.5 21000000.0 2016 Free;
    "coinbase-wrapped-btc" "cbbtc" "Coinbase Wrapped BTC" 88010.0 74500.4 0.0 2024 Follows("bitcoin");
    "weth" "weth" "WETH" 2980.5 2600000.3 0.0 2018 Follows("ethereum");
    "ethena-usde" "usde" "Ethena USDe" 0.9988 6300000000.0 0.0 2024 Stable;
    "hyperliquid" "hype" "Hyperliquid" 25.6 270700000.0 1000000000.0 2024 Free;
    "litecoin" "ltc" "Litecoin" 77.5 76700000.0 84000000.0 2013 Free;
    "avalanche-2" "avax" "Avalanche" 12.4 429200000.0 715748719.0 2020 Free;
    "sui" "sui" "Sui" 1.42 3740000000.0 10000000000.0 2023 Free;
    "dai" "dai" "Dai" 0.9995 4250000000.0 0.0 2019 Stable;
    "hedera-hashgraph" "hbar" "Hedera" 0.1105 42800000000.0 50000000000.0 2019 Free;
    "shiba-inu" "shib" "Shiba Inu" 0.00000712 589240000000000.0 0.0 2020 Free;
    "paypal-usd" "pyusd" "PayPal USD" 0.9999 3620000000.0 0.0 2023 Stable;
    "the-open-network" "ton" "Toncoin" 1.62 2440000000.0 0.0 2021 Free;
    "crypto-com-chain" "cro" "Cronos" 0.0921 38600000000.0 0.0 2018 Free;
    "world-liberty-financial" "wlfi" "World Liberty Financial" 0.142 24600000000.0 0.0 2025 Free;
    "uniswap" "uni" "Uniswap" 5.85 630000000.0 1000000000.0 2020 Free;
    "polkadot" "dot" "Polkadot" 1.82 1650000000.0 2100000000.0 2020 Free;
    "mantle" "mnt" "Mantle" 0.972 3250000000.0 6219316768.0 2023 Free;
    "bittensor" "tao" "Bittensor" 222.0 9600000.0 21000000.0 2023 Free;
    "canton-network" "cc" "Canton" 0.118 35500000000.0 0.0 2025 Free;
    "aave" "aave" "Aave" 148.0 15300000.5 16000000.0 2020 Free;
    "bitget-token" "bgb" "Bitget Token" 3.42 699990000.0 0.0 2021 Free;
    "okb" "okb" "OKB" 108.0 21000000.0 21000000.0 2019 Free;
    "tether-gold" "xaut" "Tether Gold" 4330.0 520000.0 0.0 2020 Stable;
    "pax-gold" "paxg" "PAX Gold" 4345.0 365000.2 0.0 2019 Stable;
    "near" "near" "NEAR Protocol" 1.53 1280000000.0 0.0 2020 Free;
    "ethereum-classic" "etc" "Ethereum Classic" 11.6 155000000.0 210700000.0 2016 Free;
    "pepe" "pepe" "Pepe" 0.00000402 420690000000000.0 420690000000000.0 2023 Free;
    "internet-computer" "icp" "Internet Computer" 2.95 546000000.0 0.0 2021 Free;
    "ethena" "ena" "Ethena" 0.203 8100000000.0 15000000000.0 2024 Free;
    "pi-network" "pi" "Pi Network" 0.205 8370000000.0 100000000000.0 2025 Free;
    "rocket-pool-eth" "reth" "Rocket Pool ETH" 3440.0 410000.5 0.0 2021 Follows("ethereum");
    "kaspa" "kas" "Kaspa" 0.0448 26900000000.0 28704026601.0 2022 Free;
    "worldcoin-wld" "wld" "Worldcoin" 0.486 2530000000.0 10000000000.0 2023 Free;
    "aptos" "apt" "Aptos" 1.71 755000000.0 0.0 2022 Free;
    "ondo-finance" "ondo" "Ondo" 0.378 3160000000.0 10000000000.0 2024 Free;
    "polygon-ecosystem-token" "pol" "POL (ex-MATIC)" 0.102 10570000000.0 0.0 2023 Free;
    "kucoin-shares" "kcs" "KuCoin" 10.4 131000000.0 0.0 2017 Free;
    "quant-network" "qnt" "Quant" 72.0 14544176.16 14881364.0 2018 Free;
    "official-trump" "trump" "Official Trump" 4.86 200000000.0 0.0 2025 Free;
    "algorand" "algo" "Algorand" 0.1118 8840000000.0 10000000000.0 2019 Free;
    "gatechain-token" "gt" "Gate" 10.1 116500000.0 0.0 2019 Free;
    "cosmos" "atom" "Cosmos Hub" 1.93 482000000.0 0.0 2019 Free;
    "nexo" "nexo" "NEXO" 0.92 1000000000.0 1000000000.0 2018 Free;
    "filecoin" "fil" "Filecoin" 1.29 715000000.0 1960000000.0 2020 Free;
    "vechain" "vet" "VeChain" 0.01041 85980000000.0 86712634466.0 2018 Free;
    "arbitrum" "arb" "Arbitrum" 0.187 5780000000.0 10000000000.0 2023 Free;
    "xdce-crowd-sale" "xdc" "XDC Network" 0.0489 18800000000.0 0.0 2018 Free;
    "flare-networks" "flr" "Flare" 0.0109 80500000000.0 0.0 2023 Free;
    "jupiter-exchange-solana" "jup" "Jupiter" 0.188 3130000000.0 10000000000.0 2024 Free;
    "render-token" "render" "Render" 1.28 518700000.0 644168762.0 2020 Free;
    "sei-network" "sei" "Sei" 0.1112 6490000000.0 10000000000.0 2023 Free;
    "bonk" "bonk" "Bonk" 0.00000778 87990000000000.0 87994742515274.0 2022 Free;
    "usdd" "usdd" "USDD" 0.9995 865000000.0 0.0 2022 Stable;
    "morpho" "morpho" "Morpho" 1.16 550000000.0 1000000000.0 2024 Free;
    "first-digital-usd" "fdusd" "First Digital USD" 0.9983 720000000.0 0.0 2023 Stable;
    "pancakeswap-token" "cake" "PancakeSwap" 1.86 335000000.0 400000000.0 2020 Free;
    "dash" "dash" "Dash" 41.2 12540000.0 18900000.0 2014 Free;
    "optimism" "op" "Optimism" 0.267 1940000000.0 4294967296.0 2022 Free;
    "tezos" "xtz" "Tezos" 0.502 1070000000.0 0.0 2018 Free;
    "fetch-ai" "fet" "Artificial Superintelligence Alliance" 0.204 2260000000.0 2714493896.0 2019 Free;
    "blockstack" "stx" "Stacks" 0.246 1820000000.0 1818000000.0 2019 Free;
    "immutable-x" "imx" "Immutable" 0.224 1980000000.0 2000000000.0 2021 Free;
    "curve-dao-token" "crv" "Curve DAO" 0.368 1440000000.0 3030303030.0 2020 Free;
    "true-usd" "tusd" "TrueUSD" 0.9972 494000000.0 0.0 2018 Stable;
    "injective-protocol" "inj" "Injective" 4.52 99970000.0 0.0 2020 Free;
    "lido-dao" "ldo" "Lido DAO" 0.561 846000000.0 1000000000.0 2021 Free;
    "celestia" "tia" "Celestia" 0.468 868000000.0 0.0 2023 Free;
    "bittorrent" "btt" "BitTorrent" 0.000000412 986000000000000.0 990000000000000.0 2022 Free;
    "floki" "floki" "FLOKI" 0.0000402 9540000000000.0 10000000000000.0 2021 Free;
    "the-graph" "grt" "The Graph" 0.0349 10600000000.0 0.0 2020 Free;
    "bitcoin-cash-sv" "bsv" "Bitcoin SV" 18.3 19970000.0 21000000.0 2018 Free;
    "iota" "iota" "IOTA" 0.0848 4250000000.0 0.0 2017 Free;
    "ethereum-name-service" "ens" "Ethereum Name Service" 9.6 38100000.0 100000000.0 2021 Free;
    "starknet" "strk" "Starknet" 0.0786 4980000000.0 10000000000.0 2024 Free;
    "gnosis" "gno" "Gnosis" 125.0 2640000.0 3000000.0 2017 Free;
    "conflux-token" "cfx" "Conflux" 0.0715 5150000000.0 0.0 2020 Free;
    "theta-token" "theta" "Theta Network" 0.272 1000000000.0 1000000000.0 2018 Free;
    "the-sandbox" "sand" "The Sandbox" 0.1135 2660000000.0 3000000000.0 2020 Free;
    "dogwifcoin" "wif" "dogwifhat" 0.302 998800000.0 998926392.0 2023 Free;
    "decentraland" "mana" "Decentraland" 0.1172 1960000000.0 2805886393.0 2017 Free;
    "gala" "gala" "GALA" 0.00611 47000000000.0 50000000000.0 2020 Free;
    "eos" "eos" "EOS" 0.172 1530000000.0 2100000000.0 2017 Free;
    "neo" "neo" "NEO" 3.54 70530000.0 100000000.0 2016 Free;
    "sats-ordinals" "sats" "SATS (Ordinals)" 0.0000000153 2100000000000000.0 2100000000000000.0 2023 Free;
    "thorchain" "rune" "THORChain" 0.572 351000000.0 500000000.0 2019 Free;
    "ecash" "xec" "eCash" 0.00001045 19970000000000.0 21000000000000.0 2021 Free;
    "havven" "snx" "Synthetix" 0.428 343500000.0 0.0 2018 Free;
    "flow" "flow" "Flow" 0.0905 1630000000.0 0.0 2021 Free;
    "elrond-erd-2" "egld" "MultiversX" 6.2 28900000.0 31415926.0 2020 Free;
    "axie-infinity" "axs" "Axie Infinity" 0.84 168500000.0 270000000.0 2020 Free;
    "apecoin" "ape" "ApeCoin" 0.196 752600000.0 1000000000.0 2022 Free;
    "turbo" "turbo" "Turbo" 0.00172 69000000000.0 69000000000.0 2023 Free;
    "chiliz" "chz" "Chiliz" 0.0412 10200000000.0 0.0 2019 Free;
    "mina-protocol" "mina" "Mina Protocol" 0.0752 1270000000.0 0.0 2021 Free;
    "arweave" "ar" "Arweave" 3.4 65500000.0 66000000.0 2020 Free;
    "zilliqa" "zil" "Zilliqa" 0.00486 19600000000.0 21000000000.0 2018 Free;
    "kava" "kava" "Kava" 0.0762 1080000000.0 0.0 2019 Free;
    "frax" "frax" "Legacy Frax Dollar" 0.9938 273000000.0 0.0 2020 Stable;
    "terra-luna" "lunc" "Terra Luna Classic" 0.0000402 5480000000000.0 0.0 2019 Free;
    "terra-luna-2" "luna" "Terra" 0.0652 709000000.0 0.0 2022 Free;
    "1inch" "1inch" "1INCH" 0.146 1400000000.0 1500000000.0 2020 Free;
    "dydx" "ethdydx" "dYdX" 0.166 247000000.0 1000000000.0 2021 Free;
    "osmosis" "osmo" "Osmosis" 0.0552 768000000.0 1000000000.0 2021 Free;
    "cat-in-a-dogs-world" "mew" "cat in a dogs world" 0.000855 88880000000.0 88888888888.0 2024 Free;
    "loopring" "lrc" "Loopring" 0.0512 1370000000.0 1374513896.0 2018 Free;
    "enjincoin" "enj" "Enjin Coin" 0.0271 1920000000.0 0.0 2017 Free;
    "qtum" "qtum" "Qtum" 1.28 105900000.0 107822406.0 2017 Free;
    "ravencoin" "rvn" "Ravencoin" 0.00684 15900000000.0 21000000000.0 2018 Free;
    "0x" "zrx" "0x Protocol" 0.118 848400000.0 1000000000.0 2017 Free;
    "basic-attention-token" "bat" "Basic Attention" 0.218 1500000000.0 1500000000.0 2017 Free;
    "compound-governance-token" "comp" "Compound" 24.6 9680000.0 10000000.0 2020 Free;
    "decred" "dcr" "Decred" 17.9 17200000.0 21000000.0 2016 Free;
    "holotoken" "hot" "Holo" 0.000468 177619433541.0 177619433541.0 2018 Free;
    "baby-doge-coin" "babydoge" "Baby Doge Coin" 0.00000000062 168600000000000000.0 420000000000000000.0 2021 Free;
    "wink" "win" "WINkLink" 0.0000283 993700000000.0 999000000000.0 2019 Free;
    "l2-standard-bridged-weth-base" "weth" "L2 Standard Bridged WETH (Base)" 2979.0 235000.4 0.0 2023 Follows("ethereum");
    "arbitrum-bridged-weth-arbitrum-one" "weth" "Arbitrum Bridged WETH (Arbitrum One)" 2981.0 162000.7 0.0 2023 Follows("ethereum");
    "polygon-pos-bridged-weth-polygon-pos" "weth" "Polygon PoS Bridged WETH (Polygon POS)" 2977.0 84000.9 0.0 2023 Follows("ethereum");
    "bridged-wrapped-ether-starkgate" "eth" "Bridged Ether (StarkGate)" 2978.5 24000.2 0.0 2023 Follows("ethereum");
    "bitcny" "bitcny" "bitCNY" 0.138 18600000.0 0.0 2016 Stable;
    "bitCNY" "bitcny" "bitCNY (BitShares)" 0.1379 2800000.0 0.0 2016 Stable;
    "boringdao-[old]" "bor" "BoringDAO [OLD]" 31.4 67500.8 0.0 2020 Free;
    "boringdao" "boring" "BoringDAO" 0.000312 9800000000.0 0.0 2021 Free;
    "_" "gib" "༼ つ ◕_◕ ༽つ" 0.0000521 998000000.0 0.0 2024 Free;
    "dogelon-mars" "elon" "Dogelon Mars" 0.000000046 549650000000000.0 1000000000000000.0 2021 Free;
    "pitbull" "pit" "Pitbull" 0.000000000284 37000000000000000.0 0.0 2021 Free;
    "wise-token11" "wise" "Wise" 0.0612 198000000.0 0.0 2020 Free;
    "safemoon" "safemoon" "SafeMoon [OLD]" 0.00000000284 585500000000000.0 0.0 2021 Free;
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_has_each_id_once_and_knows_whom_a_coin_follows() {
        let ids: HashSet<_> = COINS.iter().map(|coin| coin.id).collect();
        assert_eq!(ids.len(), COINS.len());
        assert!(COINS.len() >= 150, "{}", COINS.len());
        for coin in COINS {
            assert!(coin.price > 0.0 && coin.supply > 0.0);
            if let Follows(other) = coin.kind {
                assert!(ids.contains(other), "{other}");
            }
        }
    }

    #[test]
    fn symbols_are_not_keys() {
        assert_eq!(COINS.iter().filter(|coin| coin.symbol == "weth").count(), 4);
    }
}
