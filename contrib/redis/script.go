package redis

// The state of a key is the instant at which each of its buckets will be full again, by the clock of the server: a
// whole number of microseconds since 1970 and a numerator, for each limit; then by how many microseconds give-backs have
// moved these instants back; all in one string. Zeros at the end may be missing. A bucket that is full needs no state:
// the key expires at that very instant. Of what others may have left there, everything that is no
// such number counts as full, and a bucket cannot owe more than its burst: a debt beyond that is what the clock of
// another server left behind, and is cut, so that a key is never blocked for longer than a burst takes to come back.

// readState defines, from the limits in ARGV, the debts us[i] and fr[i] of the n buckets at the instant now. A limit has
// three arguments: the denominator and the two parts of the burst.
const readState = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local n = tonumber(ARGV[1])
local us, fr, state, cut = {}, {}, {}, false
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%d+') do
  state[#state + 1] = tonumber(number)
end
for i = 1, n do
  local u, f = (state[2 * i - 1] or 0) - now, state[2 * i] or 0
  if u < 0 then u, f = 0, 0 end
  if f >= tonumber(ARGV[3 * i - 1]) then f = 0 end
  local bu, bf = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  if u > bu or u == bu and f > bf then u, f, cut = bu, bf, true end
  us[i], fr[i] = u, f
end
local moved = state[2 * n + 1] or 0
local function write()
  local text, full = {}, 0
  for i = 1, n do
    text[i] = string.format('%.0f %.0f', now + us[i], fr[i])
    local whole = us[i]
    if fr[i] > 0 then whole = whole + 1 end
    if whole > full then full = whole end
  end
  if full == 0 then return redis.call('DEL', KEYS[1]) end
  text[n + 1] = string.format('%.0f', moved)
  redis.call('SET', KEYS[1], table.concat(text, ' '), 'PX', string.format('%.0f', math.ceil(full / 1000)))
end
`

// takeScript takes the first of several amounts that fits, and nothing if none does. Each amount has two
// arguments for each limit, the parts of its cost. The reply is the number of the amount, counted from 1, or 0; the
// instant; what give-backs have moved; and the two parts of each debt. A take that is refused writes nothing, unless
// there is a debt to cut.
const takeScript = readState + `
local taken = 0
for amount = 1, (#ARGV - 1 - 3 * n) / (2 * n) do
  local at = 2 + 3 * n + 2 * n * (amount - 1)
  local nu, nf, fits = {}, {}, true
  for i = 1, n do
    local u, f = us[i] + ARGV[at + 2 * i - 2], fr[i] + ARGV[at + 2 * i - 1]
    local den = tonumber(ARGV[3 * i - 1])
    if f >= den then u, f = u + 1, f - den end
    local bu = tonumber(ARGV[3 * i])
    if u > bu or u == bu and f > tonumber(ARGV[3 * i + 1]) then fits = false break end
    nu[i], nf[i] = u, f
  end
  if fits then
    us, fr, taken = nu, nf, amount
    break
  end
end
if taken > 0 or cut then write() end
local reply = {taken, now, moved}
for i = 1, n do
  reply[2 * i + 2], reply[2 * i + 3] = us[i], fr[i]
end
return reply
`

// takeOneScript is takeScript for a single limit, which is what most have, and a fifth faster. Its arguments are those of
// the limit, without their number, and of the amounts.
const takeOneScript = `
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local den, bu, bf = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local u, f, moved, taken, cut = 0, 0, 0, 0, false
local state = call('GET', KEYS[1])
if state then
  local whole, part, back = string.match(state, '(%d+) ?(%d*) ?(%d*)')
  if whole then
    u, f, moved = whole - now, tonumber(part) or 0, tonumber(back) or 0
    if f >= den then f = 0 end
    if u < 0 then
      u, f = 0, 0
    elseif u > bu or u == bu and f > bf then
      u, f, cut = bu, bf, true
    end
  end
end
for at = 4, #ARGV, 2 do
  local nu, nf = u + ARGV[at], f + ARGV[at + 1]
  if nf >= den then nu, nf = nu + 1, nf - den end
  if nu < bu or nu == bu and nf <= bf then
    u, f, taken = nu, nf, (at - 2) / 2
    break
  end
end
if taken > 0 or cut then
  local full = u
  if f > 0 then full = u + 1 end
  if f > 0 or moved > 0 then
    state = string.format('%.0f %.0f %.0f', now + u, f, moved)
  else
    state = string.format('%.0f', now + u)
  end
  call('SET', KEYS[1], state, 'PX', math.ceil(full / 1000))
end
return {taken, now, moved, u, f}
`

// returnScript gives back a part of an earlier take, as if that part had never been taken, or less. Without the part
// there would have been as much less to pay back ever since, unless the bucket would have been full at some time: from
// then on it makes no difference. That cannot have been before end, when what the take has left the bucket owing is paid
// back, less what other give-backs have moved since then; nor before alone, when that is so of what the take itself has
// added. So what counts of the part is what would still be owed now, by the later of the two, at least.
//
// After those of the limits there is an argument for what had been moved at the take, and six for each limit: the parts of
// end, of alone, and of the cost of the part. The reply is 1 if something was given back.
const returnScript = readState + `
local changed = 0
local since = moved - ARGV[2 + 3 * n]
for i = 1, n do
  local at = 3 + 3 * n + 6 * (i - 1)
  local den = tonumber(ARGV[3 * i - 1])
  local gu, gf = ARGV[at] - now - since, tonumber(ARGV[at + 1])
  local au, af = ARGV[at + 2] - now, tonumber(ARGV[at + 3])
  if au > gu or au == gu and af > gf then gu, gf = au, af end
  local pu, pf = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  if gu > pu or gu == pu and gf > pf then gu, gf = pu, pf end
  if gu > us[i] or gu == us[i] and gf > fr[i] then gu, gf = us[i], fr[i] end
  if since >= 0 and gu >= 0 and (gu > 0 or gf > 0) then
    local u, f = us[i] - gu, fr[i] - gf
    if f < 0 then u, f = u - 1, f + den end
    us[i], fr[i] = u, f
    if gf > 0 then gu = gu + 1 end
    if gu > changed then changed = gu end
  end
end
moved = moved + changed
if changed > 0 then write() end
return {math.min(changed, 1)}
`
