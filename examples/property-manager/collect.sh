#!/bin/sh
# From an empty account to the meters of each customer, as a property manager: collect.sh
#
# Each customer is a subaccount with a connection of its own. What it finds belongs to the subaccount and is shared with
# the manager, who accepts it by rules and places it in a tree. Run again, it changes nothing that is there.
#
# METERTREE_URL and METERTREE_TOKEN say where; the token needs the scopes basic, write_accounts, write_trees,
# write_meters and collection. UTILITY_URL is where the demo utility answers.
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
api POST /accounts/me/structure '{"structure": "property_manager", "preview": true}' | jq -r '.effects[]'
api POST /accounts/me/structure '{"structure": "property_manager"}' | jq -r '"structure: \(.structure)"'

# 2. Two trees with ids of your own: what is used, by property, and what is produced. Production is no consumption, so
# its rule comes first: of several rules the first one gives the place.
portfolio=$(first_of "/trees?custom_identifier=PORTFOLIO" /trees \
  '{"name": "Portfolio", "custom_identifier": "PORTFOLIO"}')
solar=$(first_of "/trees?custom_identifier=SOLAR" /trees '{"name": "Solar cells", "custom_identifier": "SOLAR"}')
rule "Solar cells" "{\"conditions\": {\"text\": \"produktion\"}, \"position\": 1,
  \"actions\": {\"box\": \"active\", \"tags\": [\"production\"], \"tree_id\": \"$solar\"}}"

# 3. Each customer: a subaccount, and a connection of its own. The logins are reserved ones of the demo utility.
while read -r property username name; do
  account=$(first_of "/accounts/me/subaccounts?custom_identifier=$property" /accounts/me/subaccounts \
    "{\"name\": \"$name\", \"custom_identifier\": \"$property\"}")
  connection=$(first_of "/connections?account._id=$account" /connections \
    "{\"provider\": \"demo-http\", \"account\": \"$account\", \"name\": \"$name\",
      \"credentials\": {\"url\": \"$utility\", \"username\": \"$username\", \"password\": \"demo\"}}")
  follow "$connection" "$property"
  echo "$property: $(api GET "/meters?assigner._id=$account&box=inbox&limit=300" | jq length) meters in the inbox"

  # 4. A rule accepts what lies in the inbox, and what is found later by itself: below the property, by address.
  node=$(first_of "/trees?custom_identifier=$property" /trees \
    "{\"name\": \"$name\", \"custom_identifier\": \"$property\", \"parent\": \"$portfolio\"}")
  rule "$property" "{\"conditions\": {\"account\": \"$account\"},
    \"actions\": {\"box\": \"active\", \"tree_id\": \"$node\", \"tree_child\": \"{address}\"}}"
done <<'CUSTOMERS'
P-1 quarter Kvarnen
P-2 exchange Smedjan
CUSTOMERS
api POST /inbox_rules/apply '{"preview": true}' | jq -r '"the rules would accept \(.active) meters of \(.count)"'
api POST /inbox_rules/apply '{}' | jq -r '"accepted: \(.active), placed in a tree: \(.placed)"'

# 5. The meters of a customer, those of the whole portfolio, and what they used.
for property in P-1 P-2; do
  account=$(api GET "/accounts/me/subaccounts?custom_identifier=$property" | jq -r '.[0]._id')
  echo "meters of $property, /meters?assigner._id=$account"
  api GET "/meters?assigner._id=$account&box=active&limit=300" | jq -r '.[] | "  \(.ean) \(.type) \(.name)"'
done
echo "meters below the portfolio, /meters?tree_structure_ids=$portfolio"
api GET "/meters?tree_structure_ids=$portfolio&limit=300" | jq -r '"  \(length)"'

# Accepted meters are asked for at once: the last 30 days first, then two years in steps.
days=$(jq -nr 'now | "\(. - 29 * 86400 | strftime("%Y%m%d"))-\(strftime("%Y%m%d"))"')
used="/consumptions/$portfolio/day/$days?metrics=energy&type=electricity"
until api GET "$used" | jq -e '[.[0].periods[0].energy[] | numbers] | length > 0' >/dev/null; do sleep 1; done
echo "electricity of the portfolio, kWh a day, $used"
api GET "$used" | jq -r '"  \([.[0].periods[0].energy[] | numbers | round] | join(" "))"'
