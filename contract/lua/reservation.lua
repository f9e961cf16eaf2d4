-- A reservation: one letter of state, then what it holds. 'A' admitted, 'S' sent upstream, and what remains of an ended one:
-- 'R' released (a late admission is refused), 'W' swept (a late settlement corrects the charge).
--   A, S  admission time, tokens, money, number of scopes; per scope the rate segment it counts in (0: none) and the name; event body
--   W     money charged, number of scopes; per scope the begin of the budget window that was charged, and the name
local function pack_live(state,admitted,tokens,cost,segments,names,body)
  local out={state..struct.pack('>I6I8I8B',admitted,tokens,cost,#names)}
  for i=1,#names do out[i+1]=struct.pack('>I4I2',segments[i],#names[i])..names[i] end
  out[#out+1]=body
  return table.concat(out)
end

local function unpack_live(v)
  local admitted,tokens,cost,n=struct.unpack('>I6I8I8B',v,2)
  local at,segments,names=25,{},{}
  for i=1,n do
    local segment,size=struct.unpack('>I4I2',v,at)
    segments[i]=segment names[i]=string.sub(v,at+6,at+5+size)
    at=at+6+size
  end
  return {admitted=admitted,tokens=tokens,cost=cost,segments=segments,names=names,body=string.sub(v,at)}
end

local function pack_swept(cost,starts,names)
  local out={'W'..struct.pack('>I8B',cost,#names)}
  for i=1,#names do out[i+1]=struct.pack('>I6I2',starts[i],#names[i])..names[i] end
  return table.concat(out)
end

local function unpack_swept(v)
  local cost,n=struct.unpack('>I8B',v,2)
  local at,starts,names=11,{},{}
  for i=1,n do
    local start,size=struct.unpack('>I6I2',v,at)
    starts[i]=start names[i]=string.sub(v,at+8,at+7+size)
    at=at+8+size
  end
  return {cost=cost,starts=starts,names=names}
end

local function is_live(v)
  local state=v and string.byte(v)
  return state==65 or state==83
end

-- Everything of a partition shares the tag that every key begins with.
local PREFIX=string.match(KEYS[1],'^(tk:{p%d+}:)')

-- Scopes by name, read once each.
local book={}
local function scope(name)
  local s=book[name]
  if not s then
    s=read(redis.call('GET',PREFIX..'sc:'..name))
    book[name]=s
  end
  return s
end

local function store_scopes(now)
  for name,s in pairs(book) do
    if s.changed then store(s,PREFIX..'sc:'..name,PREFIX..'sg:'..name,now) end
  end
end

-- Redis time that goes back in no scope of the book.
local function latest(now)
  for _,s in pairs(book) do if s.seen>now then now=s.seen end end
  return now
end
