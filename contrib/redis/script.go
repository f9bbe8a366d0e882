package redoubtredis

// The state of a key is a string of numbers. For each limit it contains the
// instant at which its bucket will be full again, by the clock of the server.
// An instant is a whole number of microseconds since 1970, and a numerator.
// Then follows the number of microseconds by which returns have moved these
// instants back. Zeros at the end may be missing. A bucket that is full needs
// no state, so the key expires at the last of the instants.
//
// The numbers are the runs of digits, whatever is between them. A number that
// is missing, or out of range, is 0, which means a full bucket. A debt of more
// than a burst is cut to a burst; the clock of another server can leave it
// behind. So a key is never blocked for longer than a burst takes to come back.
//
// A charge or a penalty can leave a longer debt. Then the last number of the
// state is the instant at which it was written, and the debt is not cut. If the
// clock is before that instant, the debt is again as long as it was then.

// The two numbers of a calendar quota are the number of a period, and the
// events of that period that are used. If that period is the next, the events
// stay in it: for a process with other rules of the time zone it has begun. A
// later period counts as the present period. Events in excess of a quota are
// used up in the next periods.

// readState defines, from the limits in ARGV, the debts us[i] and fr[i] of the
// n buckets at the instant now. The last q of the buckets are calendar quotas.
// A bucket has three arguments: the denominator and the two parts of the burst.
// Then follow four arguments for each calendar: the number of a period, its
// start, its end, and the longest time of a period. If that is not the present
// period, the script replies an error. The first further argument has the
// number at.
const readState = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local n, q = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = 3 + 3 * n + 4 * q
local function calendar(i, number)
  if i > n - q then return tonumber(ARGV[2 + 3 * n + 4 * (i - n + q - 1) + number]) end
end
local wrong = redis.error_reply('` + wrongPeriod + `' .. string.format('%.0f', now))
for i = n - q + 1, n do
  if now < calendar(i, 2) or now >= calendar(i, 3) then return wrong end
end
local us, fr, state, cut, period = {}, {}, {}, false, {}
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%d+') do
  state[#state + 1] = tonumber(number, 10) or 0
end
local written, most = state[2 * n + 2], 1125899906842624
for i = 1, n do
  local u, f = state[2 * i - 1] or 0, state[2 * i] or 0
  local den, bu, bf = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local index = calendar(i, 1)
  if index then
    local past = index - u
    u, f = f, 0
    period[i] = past == -1 and index + 1 or index
    if past > 0 then u = math.max(0, u - past * bu) elseif past < -1 then cut = true end
  else
    u = u - now
    if u < 0 then u, f = 0, 0 end
    if f >= den then f = 0 end
  end
  if written then
    if not index and u > 0 and written > now then u, cut = math.max(0, u - (written - now)), true end
    if u > most then u, f, cut = bu, bf, true end
  elseif u > bu or u == bu and f > bf then
    u, f, cut = bu, bf, true
  end
  us[i], fr[i] = u, f
end
local moved = state[2 * n + 1] or 0
local function write()
  local text, full, long = {}, 0, false
  for i = 1, n do
    local bu, index = tonumber(ARGV[3 * i + 1]), calendar(i, 1)
    if us[i] > bu or us[i] == bu and fr[i] > tonumber(ARGV[3 * i + 2]) then long = true end
    local whole = us[i]
    if index then
      text[i] = string.format('%.0f %.0f', period[i], us[i])
      if whole > 0 then whole = calendar(i, 3) - now + (math.ceil(whole / bu) - 1 + period[i] - index) * calendar(i, 4) end
    else
      text[i] = string.format('%.0f %.0f', now + us[i], fr[i])
      if fr[i] > 0 then whole = whole + 1 end
    end
    if whole > full then full = whole end
  end
  if full == 0 then return redis.call('DEL', KEYS[1]) end
  text[n + 1] = string.format('%.0f', moved)
  if long then text[n + 2] = string.format('%.0f', now) end
  redis.call('SET', KEYS[1], table.concat(text, ' '), 'PX', string.format('%.0f', math.ceil(math.min(full, most) / 1000)))
end
`

// takeScript takes the first of several amounts that fits, and nothing if none
// fits. Each amount has two arguments for each limit, the parts of its cost.
// The reply is the number of the amount, counted from 1, or 0; the instant; the
// microseconds moved by returns; and the two parts of each debt. A refused take
// writes nothing, unless a debt was cut.
const takeScript = readState + `
local taken = 0
for amount = 1, (#ARGV - at + 1) / (2 * n) do
  local nu, nf, fits = {}, {}, true
  for i = 1, n do
    local u, f = us[i] + ARGV[at], fr[i] + ARGV[at + 1]
    local den, bu = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
    at = at + 2
    if f >= den then u, f = u + 1, f - den end
    if u > bu or u == bu and f > tonumber(ARGV[3 * i + 2]) then fits = false end
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

// takeOneScript is takeScript for a single limit, which is a fifth faster. It
// reads any state as readState does. Its arguments describe the limit, without
// the number of limits, and the amounts.
const takeOneScript = `
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local den, bu, bf = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local u, f, moved, taken, cut, long = 0, 0, 0, 0, false, nil
local state = call('GET', KEYS[1])
if state then
  local whole, part, back, written = string.match(state, '(%d+)%D*(%d*)%D*(%d*)%D*(%d*)')
  if whole then
    u, f, moved = (tonumber(whole, 10) or 0) - now, tonumber(part, 10) or 0, tonumber(back, 10) or 0
    if written ~= '' then long = tonumber(written, 10) or 0 end
    if f >= den then f = 0 end
    if u < 0 then
      u, f = 0, 0
    elseif long then
      if u > 0 and long > now then u, cut = math.max(0, u - (long - now)), true end
      if u > 1125899906842624 then u, f, cut = bu, bf, true end
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
  if full == 0 then
    call('DEL', KEYS[1])
    return {taken, now, moved, u, f}
  end
  if long and (u > bu or u == bu and f > bf) then
    state = string.format('%.0f %.0f %.0f %.0f', now + u, f, moved, now)
  elseif f > 0 or moved > 0 then
    state = string.format('%.0f %.0f %.0f', now + u, f, moved)
  else
    state = string.format('%.0f', now + u)
  end
  call('SET', KEYS[1], state, 'PX', math.ceil(full / 1000))
end
return {taken, now, moved, u, f}
`

// returnScript returns a part of an earlier take, as if that part had never
// been taken, or less.
//
// Without the part, the debt would have been smaller ever since. But after an
// instant at which the bucket would have been full, the part makes no
// difference. That instant is not before end, when the debt after the
// take is paid, minus the microseconds that other returns have moved since. It
// is not before alone either, when the debt of the take itself is paid. So the
// script returns at most the part of the debt that would still exist now.
//
// A quota gets the part back if the take was in the period of its state.
//
// After the limits, the arguments are the microseconds that had been moved at
// the take, and six numbers for each limit: the parts of end, of alone, and of
// the cost of the part. The first number of a quota is the period of the take.
// The reply is as of a take script; its first number is 1 if something was
// returned.
const returnScript = readState + `
local changed, any = 0, false
local since = moved - ARGV[at]
at = at + 1
for i = 1, n do
  local den, index = tonumber(ARGV[3 * i]), calendar(i, 1)
  local gu, gf = ARGV[at] - now - since, tonumber(ARGV[at + 1])
  local au, af = ARGV[at + 2] - now, tonumber(ARGV[at + 3])
  if au > gu or au == gu and af > gf then gu, gf = au, af end
  local pu, pf = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  if index then
    gu, gf = -1, 0
    if period[i] == tonumber(ARGV[at]) then gu = pu end
  end
  at = at + 6
  if gu > pu or gu == pu and gf > pf then gu, gf = pu, pf end
  if gu > us[i] or gu == us[i] and gf > fr[i] then gu, gf = us[i], fr[i] end
  if (since >= 0 or index) and gu >= 0 and (gu > 0 or gf > 0) then
    local u, f = us[i] - gu, fr[i] - gf
    if f < 0 then u, f = u - 1, f + den end
    us[i], fr[i], any = u, f, true
    if gf > 0 then gu = gu + 1 end
    if gu > changed and not index then changed = gu end
  end
end
moved = moved + changed
if any then write() end
local reply = {any and 1 or 0, now, moved}
for i = 1, n do
  reply[2 * i + 2], reply[2 * i + 3] = us[i], fr[i]
end
return reply
`

// changeScript changes the debts, allowed or not. After the limits, the
// arguments are the kind of the change, and two numbers for each limit:
//
//	charge: the parts of a cost to add
//	credit: the parts of a cost to subtract
//	empty:  the parts of the smallest debt; of a quota, the last period
//	        without events, and the microseconds until an instant in it
//
// After these, two numbers for each quota are the start and the end of its last
// period without events. If that does not contain the instant, the script
// replies an error.
//
// The reply is the reply of a take script that took nothing.
const changeScript = readState + `
local kind, gone = ARGV[at], 0
at = at + 1
if kind == 'empty' then
  for i = n - q + 1, n do
    local last = now + ARGV[at + 2 * i - 1]
    local from = at + 2 * n + 2 * (i - n + q - 1)
    if last < tonumber(ARGV[from]) or last >= tonumber(ARGV[from + 1]) then return wrong end
  end
end
for i = 1, n do
  local den, index = tonumber(ARGV[3 * i]), calendar(i, 1)
  local cu, cf = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local u, f = us[i], fr[i]
  at = at + 2
  if kind == 'empty' and index then
    cu, cf = (math.max(cu - period[i], 0) + 1) * ARGV[3 * i + 1], 0
  end
  if kind == 'charge' then
    u, f = u + cu, f + cf
    if f >= den then u, f = u + 1, f - den end
  elseif kind == 'credit' then
    u, f = u - cu, f - cf
    if f < 0 then u, f = u - 1, f + den end
    if u < 0 then u, f = 0, 0 end
    local back = us[i] - u
    if fr[i] > f then back = back + 1 end
    if back > gone and not index then gone = back end
  elseif u < cu or u == cu and f < cf then
    u, f = cu, cf
  end
  if u > most then u, f = most, 0 end
  us[i], fr[i] = u, f
end
moved = moved + gone
write()
local reply = {0, now, moved}
for i = 1, n do
  reply[2 * i + 2], reply[2 * i + 3] = us[i], fr[i]
end
return reply
`
