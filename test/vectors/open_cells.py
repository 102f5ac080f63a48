"""Opens the AES-256-SIV cells of cells-v1*.json with nothing but Python: an independent reader of docs/cell-format.md.
It has the roots of envelope and sealed cells from the file; neither KMS nor HPKE is here."""
import datetime, hashlib, hmac, json, pathlib, struct, uuid

ZERO = bytes(16)
xor = lambda a, b: bytes(x ^ y for x, y in zip(a, b))
blocks = lambda text: [text[i:i + 16] for i in range(0, len(text), 16)]
double_byte = lambda b: (b << 1 ^ (0x1B if b & 0x80 else 0)) & 0xFF
lp = lambda part: struct.pack('>I', len(part)) + part
def sbox():  # FIPS 197, 5.1.1: p runs through all field elements, q through their inverses
    box, p, q = [0x63] * 256, 1, 1
    for _ in range(255):
        p ^= double_byte(p)
        for shift in (1, 2, 4):
            q = (q ^ q << shift) & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        box[p] = 0x63 ^ q
        for turn in (1, 2, 3, 4):
            box[p] ^= (q << turn | q >> 8 - turn) & 0xFF
    return box
SBOX = sbox()
def aes256(key):  # key expansion of FIPS 197, 5.2, then a function that enciphers a block
    words = [key[i:i + 4] for i in range(0, 32, 4)]
    while len(words) < 60:
        n, w = len(words), words[-1]
        if n % 4 == 0:
            w = bytes(SBOX[b] for b in (w[1:] + w[:1] if n % 8 == 0 else w))
        words.append(xor(xor(words[-8], w), bytes([1 << n // 8 - 1 if n % 8 == 0 else 0, 0, 0, 0])))
    keys = [b''.join(words[i:i + 4]) for i in range(0, 60, 4)]
    def encipher(block):
        state = xor(block, keys[0])
        for number in range(1, 15):
            state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
            if number < 14:
                turned = lambda i, by: state[i // 4 * 4 + (i + by) % 4]
                state = [double_byte(state[i] ^ turned(i, 1)) ^ turned(i, 1) ^ turned(i, 2) ^ turned(i, 3) for i in range(16)]
            state = xor(state, keys[number])
        return state
    return encipher
def double(block):
    number = int.from_bytes(block, 'big') << 1
    return (number & (1 << 128) - 1 ^ (0x87 if number >> 128 else 0)).to_bytes(16, 'big')
def cmac(aes, message):
    mask, end, state = double(aes(ZERO)), max(0, (len(message) - 1) // 16 * 16), ZERO
    last = xor(message[end:], mask) if len(message) - end == 16 else xor((message[end:] + b'\x80' + ZERO)[:16], double(mask))
    for block in blocks(message[:end]) + [last]:
        state = aes(xor(state, block))
    return state
def open_siv(key, components, tag, ciphertext):
    mac, cipher = aes256(key[:32]), aes256(key[32:])
    counter, d = int.from_bytes(tag, 'big') & ~(1 << 63 | 1 << 31), cmac(mac, ZERO)
    text = b''.join(xor(block, cipher((counter + i).to_bytes(16, 'big'))) for i, block in enumerate(blocks(ciphertext)))
    for component in components:
        d = xor(double(d), cmac(mac, component))
    final = text[:-16] + xor(text[-16:], d) if len(text) >= 16 else xor(double(d), (text + b'\x80' + ZERO)[:16])
    assert hmac.compare_digest(cmac(mac, final), tag), 'the tag is wrong'
    return text
def derive(root, label, c):  # HKDF-SHA256, RFC 5869, 64 bytes; 32 are their first half
    kind = 'session' if c.get('delivery') == 'sealed' else 'data'
    info = b'fieldseal/v1/' + b''.join(lp(part.encode()) for part in (kind, label, c['application'], c['purpose']))
    first = hmac.digest(hmac.digest(bytes(32), root, 'sha256'), info + b'\1', 'sha256')
    return first + hmac.digest(hmac.digest(bytes(32), root, 'sha256'), first + info + b'\2', 'sha256')
BOUND = {'text': str.encode, 'uuid': lambda v: uuid.UUID(v).bytes, 'integer': str.encode, 'boolean': lambda v: bytes([v])}
date = lambda b: datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=int.from_bytes(b, 'big', signed=True))
CODECS = {'string': bytes.decode, 'number': lambda b: struct.unpack('>d', b)[0], 'bigint': bytes.decode, 'bytes': bytes.hex,
          'boolean': lambda b: b == b'\1', 'date': lambda b: date(b).isoformat(timespec='milliseconds') + 'Z', 'json': json.loads}
def fingerprint(root, c):  # a UUIDv8; of the key pair where a session key sealed the cell
    pair = lambda: b'fieldseal/v1/pub\0\x10' + b''.join(map(lp, (c['application'].encode(), c['purpose'].encode(), bytes.fromhex(c['publicKey']))))
    named = bytearray(hashlib.sha256(pair()).digest()[:16] if 'publicKey' in c else derive(root, 'commit', c)[:16])
    named[6], named[8] = named[6] & 0x0F | 0x80, named[8] & 0x3F | 0x80
    return named
def header_bytes(cell, c):
    if cell[1] >> 4 == 1:
        length = struct.unpack('>H', cell[26:28])[0]
        assert cell[18:26] == hashlib.sha256(c['kek'].encode()).digest()[:8] and cell[28:28 + length].hex() == c['wrapped'], 'another wrap'
        return 10 + length
    assert cell[1] >> 4 == 0 or cell[1] >> 4 == 2 and cell[18] == 4, 'an unknown delivery'
    return 113 if cell[1] >> 4 == 2 else 0
def open_cell(c):
    cell, root = bytes.fromhex(c['cell']), bytes.fromhex(c['root'])
    assert cell[0] == 0xF5 and cell[1] & 7 == 1, 'not a cell of suite 1'
    assert cell[2:18] == fingerprint(root, c) == uuid.UUID(c['fingerprint']).bytes, 'another fingerprint'
    nonce = 18 + header_bytes(cell, c)
    names = b''.join(lp(c[name].encode()) for name in ('application', 'environment', 'purpose', 'entity', 'field', 'codec'))
    bound = sorted((b['name'].encode(), BOUND[b['kind']](b['value'])) for b in c['bound'])
    components = [b'fieldseal/v1' + cell[1:18] + names, b''.join(lp(part) for pair in bound for part in pair), cell[nonce:nonce + 16]]
    text = open_siv(derive(root, 'siv', c), [part for part in components if part], cell[nonce + 16:nonce + 32], cell[nonce + 32:])
    return CODECS[c['codec']](text.rstrip(b'\0')[:-1] if cell[1] & 8 else text)
if __name__ == '__main__':
    for file in ('cells-v1.json', 'cells-v1-deliveries.json'):
        cells = json.loads((pathlib.Path(__file__).parent / file).read_text('utf-8'))['cells']
        for c in (c for c in cells if c['suite'] == 'aes-256-siv'):
            assert open_cell(c) == c['value'], c['name']
            print(c['name'])
