import type { UnitKind } from "./row-units.ts";

/** What a row is for. `fee` counts in the total alone; `open` is for a person to say. */
export type Part =
  | "subscription"
  | "power"
  | "flow"
  | "return_temperature"
  | "usage"
  | "undefined"
  | "fee"
  | "open";

/** What is sold, where a unit alone does not say what a row is for. */
export type Goods = "heat" | "cooling" | "water" | "gas";

/** Words by language: Swedish, English, German, Finnish, Norwegian, Danish. See `Words` for how they are written. */
export interface WordList {
  sv?: string;
  en?: string;
  de?: string;
  fi?: string;
  no?: string;
  da?: string;
}

/**
 * Says what a row is for. All conditions that it has must hold; of words and codes one is enough. Among the rules
 * that match, those of the highest rank decide; if they say different things, the row is left to a person.
 */
export interface PartRule {
  name: string;
  part: Part;
  rank: number;
  words?: WordList;
  /** Article numbers, as in those that BDEW gives to what German networks bill. */
  codes?: string;
  units?: readonly UnitKind[];
  notUnits?: readonly UnitKind[];
  goods?: readonly Goods[];
}

/** Says whether a row or a seller is of the network (`grid`) or the supplier (`retail`); `open` leaves it to a person. */
export interface ContractRule {
  name: string;
  contract: "grid" | "retail" | "open";
  words: WordList;
}

/** Says what is sold. */
export interface GoodsRule {
  goods: Goods;
  words: WordList;
}

const usageWords: WordList = {
  sv: "*överföring*, *förbrukning*, energiavgift*, energipris*, rörlig*, energi, elenergi*, el energi, *höglast*, *låglast*",
  en: "*consumption*, usage*, energy charge*, energy cost*, unit charge*, day units, night units, volumetric*, energy",
  de: "*arbeitspreis*, *verbrauch*, arbeit, wirkarbeit, *arbeitsentgelt*, mengenpreis*, energielieferung*, energie",
  fi: "*siirto*, *kulutus*, energiamaksu*, sähköenergia*, *energia, yösähkö*, päiväsähkö*",
  no: "energiledd*, *forbruk*, energipris*, overføring*, kraft, strøm",
  da: "*forbrug*, nettarif*, systemtarif*, transmissionstarif*, distributionstarif*, energibidrag*, variabel*, transport af el",
};

/** From the most specific to the least. */
export const partRules: readonly PartRule[] = [
  {
    name: "fee or rounding",
    part: "fee",
    rank: 100,
    words: {
      sv: "påminnelse*, *dröjsmål*, inkasso*, kravavgift*, *ränta, fakturaavgift*, faktureringsavgift*, aviavgift*, pappersfaktura*, öresutjämning*, öresavrundning*, avrundning*",
      en: "reminder*, late payment*, late fee*, interest, collection fee*, invoice fee*, invoicing fee*, paper invoice*, paper bill*, rounding*",
      de: "mahn*, verzugszins*, *zinsen, inkasso*, rechnungsgebühr*, papierrechnung*, rücklastschrift*, rundung*",
      fi: "maksumuistutus*, muistutusmaksu*, viivästyskor*, perintä*, laskutuslisä*, laskutusmaksu*, paperilasku*, pyöristys*",
      no: "purre*, forsinkelsesrente*, inkasso*, fakturagebyr*, papirfaktura*, øreavrunding*, øresavrunding*, rente, renter",
      da: "rykker*, morarente*, inkasso*, fakturagebyr*, opkrævningsgebyr*, betalingsservice*, øreafrunding*, renter",
    },
    codes: "9990001000566",
  },
  {
    name: "instalment",
    part: "open",
    rank: 100,
    words: {
      sv: "delbetalning*, förskott*, a conto, akonto*",
      en: "instalment*, installment*, payment on account, prepayment*",
      de: "abschlag*, *abschlag, vorauszahlung*",
      fi: "ennakkomaksu*, ennakkolasku*, tasaerä*",
      no: "akonto*, a konto, forskudd*",
      da: "aconto*, acontobetaling*, forskud*",
    },
    codes: "9990001000376",
  },
  {
    name: "feed-in",
    part: "undefined",
    rank: 95,
    words: {
      sv: "inmatning*, inmatad*, nätnytta*, överskottsel*, överskottsproduktion*, mikroproduk*",
      en: "feed in*, export*, microgeneration*, surplus*",
      de: "einspeis*, *einspeisung",
      fi: "ylijäämä*, pientuotan*",
      no: "plusskunde*, innmating*, innmatet*, overskuddsproduksjon*",
      da: "overskudsproduktion*, indfødning*, indfødnings*",
    },
  },
  {
    name: "return temperature",
    part: "return_temperature",
    rank: 92,
    words: {
      sv: "returtemp*, *avkylning*",
      en: "return temp*, return water*",
      de: "rücklauf*, spreizung*",
      fi: "paluuläm*, paluuvesi*, jäähtym*",
      no: "avkjøling*",
      da: "afkøling*, *afkøling, motivationstarif*",
    },
  },
  {
    name: "flow",
    part: "flow",
    rank: 92,
    words: {
      sv: "flöde*, *flöde, *flödesavgift*, *flödespremie*",
      en: "flow*, volume flow",
      de: "durchfluss*, volumenstrom*",
      fi: "virtaama*, *virtaama, vesivirta*, *vesivirta",
      no: "gjennomstrømning*, volumledd*",
      da: "gennemstrømning*",
    },
  },
  { name: "billed by flow", part: "flow", rank: 92, units: ["flow"], goods: ["heat", "cooling"] },
  {
    name: "discount, correction or penalty",
    part: "undefined",
    rank: 90,
    words: {
      sv: "*rabatt*, *korriger*, *rättelse*, kreditering*, *kompensation*, avbrottsersättning*, bonus*, *avdrag, *överuttag*, överskrid*, straffavgift*, efterdebitering*, elstöd*, återbäring*",
      en: "*discount*, *rebate*, *correction*, *adjustment*, *compensation*, credit, penalty, penalties, *overrun*, excess capacity*, refund*",
      de: "rabatt*, *bonus, gutschrift*, *korrektur*, nachberechnung*, nachlass*, *entschädigung*, entlastung*, *preisbremse*, *überschreitung*, vertragsstrafe*, pönale*, storno*",
      fi: "*alennus*, *hyvitys*, korjaus*, oikaisu*, vakiokorvaus*, bonus*, *ylitys*, sopimussakko*",
      no: "*korreksjon*, erstatning*, *kompensasjon*, strømstøtte*, norgespris*, overforbruk*, avslag*",
      da: "*rabat, rabat*, *korrektion*, regulering*, godtgørelse*, tilskud*, overforbrug*, mængderabat*",
    },
  },
  {
    name: "reactive energy or power",
    part: "undefined",
    rank: 88,
    words: {
      sv: "*reaktiv*",
      en: "*reactive*",
      de: "blindarbeit*, blindmehrarbeit*, blindleistung*, blindstrom*",
      fi: "loisteho*, loisenergia*, loissähkö*, loisvirta*",
    },
    codes: "9990001000508",
  },
  { name: "billed by reactive energy", part: "undefined", rank: 88, units: ["reactive"] },
  {
    name: "power",
    part: "power",
    rank: 80,
    words: {
      sv: "*effekt*, *kapacitet*, toppbelastning*, högbelastning*",
      en: "demand*, *capacity*, availability charge*, peak load*, peak demand*, maximum demand*",
      de: "leistung, leistung pauschal, *leistungspreis*, *leistungsentgelt*, *jahresleistung*, *höchstleistung*, *spitzenlast*, netzleistung*, *kapazität*",
      fi: "teho, *teho, *tehomaksu*, tehoperusmaksu*",
      no: "*kapasitet*",
      da: "effektbetaling*",
    },
    codes: "9990001000053, 9990001000079",
    notUnits: ["energy"],
  },
  {
    name: "levy by month or year",
    part: "subscription",
    rank: 65,
    words: { no: "enova*", da: "pso*" },
    units: ["time"],
  },
  {
    name: "tax or levy",
    part: "usage",
    rank: 60,
    words: {
      sv: "energiskatt*, elskatt*, koldioxidskatt*, co2 skatt*, skatt på el*",
      en: "electricity tax*, energy tax*, carbon tax*, climate change levy*, ccl, excise*, electricity duty, energy duty",
      de: "stromsteuer*, energiesteuer*, erdgassteuer*, konzessionsabgabe*, kwk*, offshore*, 19 stromnev*, stromnev*, *umlage*, eeg*, ablav*, co2 preis*, co2 kosten*, co2 abgabe*, co2 bepreisung*, behg*, nehs*, emissionspreis*",
      fi: "sähkövero*, *valmistevero*, huoltovarmuusmaksu*, energiavero*",
      no: "forbruksavgift*, elavgift*, enova*",
      da: "elafgift*, energiafgift*, co2 afgift*, gasafgift*, naturgasafgift*, vandafgift*, statsafgift*, pso*",
    },
    codes: "9990001000334, 9990001000417",
    notUnits: ["time"],
  },
  {
    name: "fee of an authority",
    part: "subscription",
    rank: 60,
    words: { sv: "myndighetsavgift*, elsäkerhetsavgift*, elberedskap*, nätövervak*" },
    notUnits: ["energy", "power"],
  },
  {
    name: "price of energy",
    part: "usage",
    rank: 60,
    words: {
      sv: "*påslag*, spot*, *elcertifikat*, ursprungs*, *elpris*, effektreserv*, balanskraft*, balanskostnad*, profilkostnad*, rörligt pris, fast pris, fastpris*, bundet pris",
      en: "spot*, margin*, day ahead*, green certificate*, guarantees of origin, guarantee of origin, unit rate*, imbalance*, balancing*, fixed price*",
      de: "spotmarkt*, epex*, *beschaffung*, herkunftsnachweis*, ausgleichsenergie*, marge, festpreis*",
      fi: "pörssi*, marginaali*, alkuperä*, kiinteä hinta",
      no: "elsertifikat*, opprinnelses*, kraftpris*, strømpris*",
      da: "*tillæg, tillæg*, handelstillæg*, oprindelses*, balancetarif*",
    },
    notUnits: ["time"],
  },
  {
    name: "fixed charge",
    part: "subscription",
    rank: 50,
    words: {
      sv: "*abonnemang*, fast avgift*, fasta avgift*, fast *avgift, *avgift fast, elnät fast, fast del*, fast kostnad*, *grundavgift*, *årsavgift*, *månadsavgift*, månadskostnad*, *säkring*, mätaravgift*, mätavgift*, mätarhyra*, lägenhetsavgift*, bostadsenhet*, tomtyte*",
      en: "standing charge*, subscription*, fixed charge*, fixed fee*, monthly fee*, monthly charge*, base fee*, basic fee*, basic charge*, meter rent*, metering charge*, service charge*",
      de: "*grundpreis*, grundgebühr*, *grundentgelt*, messstellenbetrieb*, messung*, messpreis*, messentgelt*, verrechnungspreis*, zählermiete*, zählergebühr*, bereitstellung*, abrechnung, jahrespreis*, monatspauschale*",
      fi: "*perusmaksu*, vuosimaksu*, kuukausimaksu*, mittausmaksu*, mittarivuokra*, kiinteä maksu*",
      no: "*fastledd*, fastbeløp*, fastavgift*, fast månedsbeløp*, månedsbeløp*, *abonnement*, målerleie*, *årsgebyr*",
      da: "fast bidrag*, fast afgift*, faste afgift*, målerleje*, målerafgift*, grundbidrag*, administrationsbidrag*, fast andel*",
    },
    codes: "9990001000087, 9990001000433, 9990001000532, 9990001000615, 9990001000623",
    notUnits: ["energy", "power", "flow", "volume"],
  },
  { name: "words of use, but billed by time", part: "open", rank: 45, words: usageWords, units: ["time"] },
  {
    name: "use",
    part: "usage",
    rank: 40,
    words: usageWords,
    codes: "9990001000269",
    notUnits: ["power", "volume"],
  },
  { name: "billed by energy", part: "usage", rank: 30, units: ["energy"] },
  { name: "billed by power", part: "power", rank: 30, units: ["power"] },
  { name: "billed by volume", part: "usage", rank: 30, units: ["volume"], goods: ["water", "gas"] },
  { name: "heat billed by volume", part: "flow", rank: 30, units: ["volume"], goods: ["heat", "cooling"] },
  { name: "water billed by area", part: "subscription", rank: 30, units: ["area"], goods: ["water"] },
  { name: "billed by time", part: "subscription", rank: 10, units: ["time"] },
];

/** By what a row says of itself. */
export const contractRules: readonly ContractRule[] = [
  {
    name: "one price for both",
    contract: "open",
    words: {
      sv: "inkl elnät*, inklusive elnät*, inkl nät*, inklusive nät*",
      en: "all inclusive, including network*, incl network*",
      de: "inkl netz*, inklusive netz*, einschliesslich netz*",
    },
  },
  {
    name: "words of the network",
    contract: "grid",
    words: {
      sv: "*elnät*, nät, nätavgift*, nätabonnemang*, nättariff*, nätkostnad*, nätnytta*, nätövervak*, *överföring*, *effektavgift*, effekttaxa*, effekttariff*, *säkring*, myndighetsavgift*, elsäkerhetsavgift*, elberedskap*, högbelastning*, *överuttag*, *reaktiv*",
      en: "network*, grid*, distribution*, transmission*, duos*, tnuos*, use of system*, reactive*",
      de: "*netz*, messstellenbetrieb*, konzessionsabgabe*, kwk*, offshore*, stromnev*, blindarbeit*, blindmehrarbeit*, blindleistung*",
      fi: "*siirto*, *siirron*, verkkopalvelu*, verkkomaksu*, jakelu*, sähkövero*, huoltovarmuusmaksu*, loisteho*, loisenergia*",
      no: "*nettleie*, fastledd*, energiledd*, effektledd*, kapasitetsledd*, forbruksavgift*, enova*",
      da: "nettarif*, netselskab*, netabonnement*, netbetaling*, systemtarif*, transmissionstarif*, distributionstarif*, elafgift*, transport af el",
    },
  },
  {
    name: "words of the supplier",
    contract: "retail",
    words: {
      sv: "*elhandel*, spot*, *elcertifikat*, ursprungs*, *påslag*, *elpris*, effektreserv*, balanskraft*, profilkostnad*, elenergi, el energi, rörligt pris, fast pris, fastpris*, överskottsel*",
      en: "spot*, energy supply*, electricity supply*, power supply*, gas supply*, supplier*, wholesale*, margin*, day ahead*, green certificate*, guarantees of origin, guarantee of origin",
      de: "stromlieferung*, gaslieferung*, energielieferung*, *beschaffung*, spotmarkt*, epex*, eeg*, stromsteuer*, energiesteuer*, erdgassteuer*, herkunftsnachweis*, *vertrieb*",
      fi: "sähköenergia*, pörssi*, marginaali*, myynti*, välityspalkkio*, alkuperä*",
      no: "elsertifikat*, opprinnelses*, kraft, kraftpris*, kraftforbruk*, strøm, strømpris*, strømforbruk*, strømavtale*",
      da: "*tillæg, tillæg*, oprindelses*",
    },
  },
];

/** By the name of the seller, for rows that do not say it themselves. */
export const sellerRules: readonly ContractRule[] = [
  {
    name: "seller",
    contract: "grid",
    words: {
      sv: "*elnät*, *nät, *eldistribution*, *energidistribution*, ellevio",
      en: "*distribution*, networks, grid, enexis, liander, stedin",
      de: "*netz, *netze, *netzgesellschaft*",
      fi: "*verkko*, *verkot, *siirto*, caruna, elenia",
      no: "*nett, *elnett*, *nettselskap*, elvia, tensio, lede",
      da: "net, *elnet*, *netselskab*, radius, cerius, n1, dinel",
    },
  },
  {
    name: "seller",
    contract: "retail",
    words: {
      sv: "*elhandel*, *energihandel*, *försäljning*, godel, bixia",
      en: "sales, supply, retail, markets, tibber",
      de: "*vertrieb*, *stromhandel*, *energiehandel*",
      fi: "*myynti*",
      no: "*kraftsalg*, *strøm, *strømsalg*",
      da: "elsalg*, *elhandel*, salg",
    },
  },
];

/** By what a row, else the seller and the other rows, name. Who sells heat, cooling or water owns its network. */
export const goodsRules: readonly GoodsRule[] = [
  {
    goods: "heat",
    words: {
      sv: "*värme*",
      en: "district heat*, heat, heating",
      de: "*wärme*, heizung*",
      fi: "*kaukoläm*, *lämpö*",
      no: "*varme*",
    },
  },
  {
    goods: "cooling",
    words: {
      sv: "*fjärrkyla*, kyla, kylenergi*",
      en: "district cool*, cooling",
      de: "*kälte*",
      fi: "kaukojäähdytys*, jäähdytys*",
      no: "fjernkjøling*, kjøling",
      da: "fjernkøling*, køling",
    },
  },
  {
    goods: "water",
    words: {
      sv: "vatten, *vattenavgift*, *vattenförbrukning*, *dricksvatten*, spillvatten*, dagvatten*, avlopp*, va, brukningsavgift*",
      en: "water*, wastewater*, sewage*, sewer*",
      de: "*wasser, wasserverbrauch*, wasserpreis*, *wassergebühr*",
      fi: "vesi, vesimaksu*, käyttövesi*, jätevesi*, talousvesi*, hulevesi*",
      no: "vann, vannavgift*, vannforbruk*, avløp*, kloakk*",
      da: "vand, vandforbrug*, vandafgift*, vandbidrag*, spildevand*, drikkevand*",
    },
  },
  {
    goods: "gas",
    words: {
      sv: "gas, *gas, gasförbrukning*, gasnät*",
      de: "gaslieferung*, gasverbrauch*, gasnetz*, *gassteuer*",
      fi: "*kaasu*",
      da: "gasforbrug*, *gasafgift*",
    },
  },
];
