#!/bin/sh
# From an empty account to meters in a tree of its own, classic: collect.sh
#
# Connections live in the account itself, and meters carry no customer: rules place them by address, customer number or
# the provider's own words. Run again, it changes nothing that is there.
#
# METERTREE_URL and METERTREE_TOKEN say where; the token needs the scopes basic, write_trees, write_meters and
# collection. UTILITY_URL is where the demo utility answers.
set -eu
: "${METERTREE_URL:?}" "${METERTREE_TOKEN:?}"
utility=${UTILITY_URL:-http://localhost:8090}

# Calls the API and prints `data`: api METHOD PATH [JSON]. curl waits when an answer is 429.
api() {
  curl -sS --retry 5 -X "$1" "$METERTREE_URL/api/v2$2" -H "Authorization: Bearer $METERTREE_TOKEN" \
    -H "Content-Type: application/json" ${3:+-d "$3"} |
    jq 'if .code == 200 then .data // true else error("\(.message) \(.errors // "")") end'
}

# Prints the id of the first one in a list, or makes it: first_of LIST PATH JSON
first_of() {
  api GET "$1" | jq -er '.[0]._id // empty' || api POST "$2" "$3" | jq -r ._id
}

# Adds a rule for found meters, unless one has this name: rule NAME JSON
rule() {
  known=$(api GET "/inbox_rules?limit=300" | jq --arg name "$1" 'any(.[]; .name == $name)') || true
  [ "$known" = true ] || api POST /inbox_rules "$(echo "$2" | jq --arg name "$1" '{name: $name} + .')" >/dev/null
}

# Follows a connection until its first run is over: follow ID NAME
follow() {
  while :; do
    # Server-Sent Events: one for each change and each step, and the end when nothing has come for two seconds.
    curl -sN "$METERTREE_URL/api/v2/connections/$1/events?wait=2" -H "Authorization: Bearer $METERTREE_TOKEN" |
      sed -n 's/^data: //p; /"state":"collecting"/q' | jq -r --arg name "$2" '"\($name): \(.running.steps[-1].name // .state)"' | uniq
    connection=$(api GET "/connections/$1")
    case $(echo "$connection" | jq -r 'if .who_acts == "nobody" then .state else "person" end') in
      collecting) return ;;
      person) echo "$connection" | jq -r '"\(.state): \(.what_to_do)"' >&2 && exit 1 ;;
    esac
  done
}

# 1. Where connections belong: what it would mean, then the choice.
api POST /accounts/me/structure '{"structure": "classic", "preview": true}' | jq -r '.effects[]'
api POST /accounts/me/structure '{"structure": "classic"}' | jq -r '"structure: \(.structure)"'

# 2. A connection of the account. `corrected` is a reserved login of the demo utility.
connection=$(first_of "/connections?name=Estate" /connections "{\"provider\": \"demo-http\", \"name\": \"Estate\",
  \"credentials\": {\"url\": \"$utility\", \"username\": \"corrected\", \"password\": \"demo\"}}")
follow "$connection" Estate
inbox=$(api GET "/meters?box=inbox&limit=300")
echo "Estate: $(echo "$inbox" | jq length) meters in the inbox"

# 3. A tree with ids of your own: a node for each building. Here buildings are the addresses of what was found; yours
# come from your property system.
estate=$(first_of "/trees?custom_identifier=ESTATE" /trees '{"name": "Estate", "custom_identifier": "ESTATE"}')
solar=$(first_of "/trees?custom_identifier=SOLAR" /trees '{"name": "Solar cells", "custom_identifier": "SOLAR"}')
# Production is no consumption, so its rule comes first: of several rules the first one gives the place. `text` is what
# the provider calls a meter.
rule "Solar cells" "{\"conditions\": {\"text\": \"produktion\"}, \"position\": 1,
  \"actions\": {\"box\": \"active\", \"tags\": [\"production\"], \"tree_id\": \"$solar\"}}"
echo "$inbox" | jq -r '[.[].address] | unique | to_entries[] | "B-\(.key + 1) \(.value)"' |
  while read -r building address; do
    node=$(first_of "/trees?custom_identifier=$building" /trees \
      "{\"name\": \"$address\", \"custom_identifier\": \"$building\", \"parent\": \"$estate\"}")

    # 4. A rule for each building: what lies in the inbox, and what is found later by itself.
    rule "$building" "{\"conditions\": {\"address\": \"$address\"},
      \"actions\": {\"box\": \"active\", \"name\": \"$building {name}\", \"tree_id\": \"$node\"}}"
  done
api POST /inbox_rules/apply '{"preview": true}' | jq -r '"the rules would accept \(.active) meters of \(.count)"'
api POST /inbox_rules/apply '{}' | jq -r '"accepted: \(.active), placed in a tree: \(.placed)"'

# 5. The meters of each building, and what the estate used.
api GET "/trees?parent=$estate&sort=custom_identifier&limit=300" | jq -r '.[] | "\(._id) \(.custom_identifier) \(.name)"' |
  while read -r node building address; do
    echo "meters of $building, $address, /meters?tree_structure_ids=$node"
    api GET "/meters?tree_structure_ids=$node&limit=300" | jq -r '.[] | "  \(.ean) \(.type) \(.name)"'
  done
# Accepted meters are asked for at once: the last 30 days first, then two years in steps.
days=$(jq -nr 'now | "\(. - 29 * 86400 | strftime("%Y%m%d"))-\(strftime("%Y%m%d"))"')
used="/consumptions/$estate/day/$days?metrics=energy&type=electricity"
until api GET "$used" | jq -e '[.[0].periods[0].energy[] | numbers] | length > 0' >/dev/null; do sleep 1; done
echo "electricity of the estate, kWh a day, $used"
api GET "$used" | jq -r '"  \([.[0].periods[0].energy[] | numbers | round] | join(" "))"'
